"""What every drill shares: phases, checks, leases, verdict, journal and sweeper. Knows no system."""
