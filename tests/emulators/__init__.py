"""Stand-ins for the outside world that tests and the lab talk to."""
