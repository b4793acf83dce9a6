"""The program of the role notify: events on disk, and what carries them to a phone."""
