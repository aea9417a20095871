"""Alerts: texts as pure functions, and the sensors that deliver them without losing one."""
