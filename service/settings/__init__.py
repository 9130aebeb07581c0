"""The settings of the service: how text becomes a value, and which settings there are."""

from service.settings.declared import PROG, Settings, environment_name, flag, shown
from service.settings.values import PREFIX, WrongSetting

__all__ = ["PREFIX", "PROG", "Settings", "WrongSetting", "environment_name", "flag", "shown"]
