"""Trunks as Keras 3 layers, and the exports that a hub serves and trains on. Needs the ``finetune`` extra."""

from hub.finetune.export import export_head, export_trunk
from hub.finetune.push import PushParts, export_for_push
from hub.finetune.trunk import Trunk, load_trunk

__all__ = ["PushParts", "Trunk", "export_for_push", "export_head", "export_trunk", "load_trunk"]
