"""Which way a registered device is reached."""

from __future__ import annotations

from nas_service.storage.devices import StoredDevice
from nas_service.worker.context import Context
from nas_service.worker.devices.agent import AgentDevice
from nas_service.worker.devices.base import MeasuringDevice
from nas_service.worker.devices.this_machine import OtherMachine, ThisMachine


def device_of(context: Context, stored: StoredDevice) -> MeasuringDevice:
    """The device as a step of this process reaches it."""
    if stored.machine is None:
        return AgentDevice(context, stored)
    if stored.machine == context.settings.machine:
        return ThisMachine(context, stored)
    return OtherMachine(context, stored)
