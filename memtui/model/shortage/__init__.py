"""Is memory short? The rules, the verdict over time and in words, trends, alerts, events."""
