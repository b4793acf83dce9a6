"""The program of the role auditd."""
