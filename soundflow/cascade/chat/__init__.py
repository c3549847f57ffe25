"""Answers to what was said: a small model on this machine, or any OpenAI-compatible endpoint."""

from soundflow.cascade.chat.endpoint import EndpointChat
from soundflow.cascade.chat.local import LocalChat
from soundflow.cascade.chat.port import ChatConfig, ChatModel, ChatUnavailable, Message, Role

__all__ = [
    "ChatConfig",
    "ChatModel",
    "ChatUnavailable",
    "EndpointChat",
    "LocalChat",
    "Message",
    "Role",
    "open_chat",
]


def open_chat(config: ChatConfig) -> ChatModel:
    """Return the model that the configuration names: its endpoint, or else the local one.

    Raises `soundflow.checkpoint.CheckpointError` when the local model has not been fetched.
    """
    return EndpointChat(config) if config.base_url else LocalChat(config)
