"""A large order waits for a person: approved, turned down, forgotten, and told twice, over real HTTP.

python -m examples.approval
"""
