"""Whether a host is what was declared of it, and what judges from outside say: one list of controls."""
