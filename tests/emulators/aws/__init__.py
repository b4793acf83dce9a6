"""What stands in front of moto where moto alone will not do."""
