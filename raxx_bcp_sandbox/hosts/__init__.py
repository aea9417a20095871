"""Bodies for the instances of the Lightsail stand-in: disks, processes, a real SSH server, and what is on a host."""
