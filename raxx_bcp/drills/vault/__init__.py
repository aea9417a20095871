"""D1 and D3 restored: the vault's snapshot as an instance, its export into a throwaway vault."""
