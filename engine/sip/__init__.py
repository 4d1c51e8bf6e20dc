"""The asyncio face of the native SIP stack, the registrar and the network."""
