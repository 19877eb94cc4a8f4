"""The machine's figures: free, sar, the balance, zones, fragmentation, the table of metrics."""
