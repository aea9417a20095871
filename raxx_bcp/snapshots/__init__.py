"""D1: the daily Lightsail snapshot of the vault instance: taken, waited for, pruned, inventoried."""
