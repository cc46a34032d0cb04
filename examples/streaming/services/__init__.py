"""The services of the page, each a process and a ledger of its own: same desk, same faults, same gates as the checkout's."""
