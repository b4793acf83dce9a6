"""The status of a host: collected, judged, and written as pages for people and metrics for Prometheus."""
