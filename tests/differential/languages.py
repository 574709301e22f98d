"""Both servers with the router in the other languages of KEMI: `script_router.lua`, `.js`, `.sq`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from .servers import HERE, MODULES, Kahea, Kamailio, Server


class ForeignKamailio(Kamailio):
    """The oracle with one of its other engines."""

    module = ""
    engine = ""
    suffix = ""

    @classmethod
    def lacking(cls) -> str:
        """Why it can't be run here, or an empty string."""
        if shutil.which("kamailio") is None:
            return "the kamailio binary is not installed"
        found = list(Path("/usr/lib").glob(f"*/kamailio/modules/{cls.module}.so"))
        return "" if found else f"Kamailio's {cls.module} is not installed"

    def configuration(self) -> str:
        script = (HERE / self.setup.script).with_suffix(self.suffix)
        more: list[tuple[str, str, int | str]] = [(self.module, "load", str(script))]
        return self.cfg((*MODULES, self.module), more) + f'cfgengine "{self.engine}"\n'


class ForeignKahea(Kahea):
    """The server under test with the same script."""

    suffix = ""

    @classmethod
    def lacking(cls) -> str:
        """It is always here."""
        return ""

    def command(self) -> list[str]:
        command = super().command()
        script = self.directory / Path(self.setup.script).with_suffix(self.suffix).name
        shutil.copy((HERE / self.setup.script).with_suffix(self.suffix), script)
        return [sys.executable, *command[1:4], str(script), *command[5:]]


class LuaKamailio(ForeignKamailio):
    """app_lua."""

    kind, number = "lua_kamailio", 5
    module, engine, suffix = "app_lua", "lua", ".lua"


class LuaKahea(ForeignKahea):
    """LuaJIT."""

    kind, number = "lua_kahea", 6
    suffix = ".lua"


class JavaScriptKamailio(ForeignKamailio):
    """app_jsdt."""

    kind, number = "js_kamailio", 7
    module, engine, suffix = "app_jsdt", "jsdt", ".js"


class JavaScriptKahea(ForeignKahea):
    """QuickJS."""

    kind, number = "js_kahea", 8
    suffix = ".js"


class SquirrelKamailio(ForeignKamailio):
    """app_sqlang."""

    kind, number = "sq_kamailio", 9
    module, engine, suffix = "app_sqlang", "sqlang", ".sq"


class SquirrelKahea(ForeignKahea):
    """Squirrel compiled to Python."""

    kind, number = "sq_kahea", 10
    suffix = ".sq"


FOREIGN: tuple[type[Server], ...] = (
    LuaKamailio,
    LuaKahea,
    JavaScriptKamailio,
    JavaScriptKahea,
    SquirrelKamailio,
    SquirrelKahea,
)
