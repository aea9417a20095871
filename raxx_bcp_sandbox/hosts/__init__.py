"""Bodies for the instances of the Lightsail stand-in: disks, processes, a real SSH server, and a host's content."""
