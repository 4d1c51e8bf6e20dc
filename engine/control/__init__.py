"""Faces toward the control plane: HTTP, WebSocket, Kazoo's shapes, tokens."""
