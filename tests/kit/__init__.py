"""The SIP test kit: real SIPp peers, RTP peers, a TLS terminator, and an engine with its native
stack.

Every peer gets a loopback address of its own, so ports never clash, whatever runs beside it.
"""
