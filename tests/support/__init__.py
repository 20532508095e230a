"""What the demo and the end-to-end tests share: a server, screens, real RDP clients, WS-Management.

Everything started here is ended here, by its own process id, and listens on loopback or a Unix
socket only. Nothing waits for time to pass: `wait.until` waits for a condition and gives up with words.
"""
