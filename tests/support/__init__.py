"""What several tests share: the repository, processes, services to call. No test is in it."""
