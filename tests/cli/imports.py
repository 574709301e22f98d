"""Scripts in every language that answer with words which they take from files of their own: `first`, loaded with the
script, and `late`, loaded by the first request that asks for it."""

from __future__ import annotations

from pathlib import Path

SCRIPTS = {
    "py": """
import KSR
import first

def ksr_request_route():
    word = first.word()
    if KSR.pv.get("$rU") == "late":
        import late
        word = late.word()
    KSR.sl.sl_send_reply(200, word)
""",
    "lua": """
local first = require("first")

function ksr_request_route()
	local word = first()
	if KSR.pv.get("$rU") == "late" then word = dofile(DIRECTORY .. "/late.lua")() end
	KSR.sl.sl_send_reply(200, word)
end
""",
    "js": """
const first = require("./first");

function ksr_request_route() {
	let word = first.word();
	if (KSR.pv.get("$rU") === "late") word = require("./late.js").word();
	KSR.sl.sl_send_reply(200, word);
}
""",
    "sq": """
dofile("first.sq");

function ksr_request_route() {
	local word = ::first();
	if (KSR.pv.get("$rU") == "late") {
		dofile("late.sq");
		word = ::late();
	}
	KSR.sl.sl_send_reply(200, word);
}
""",
}
WORDS = {
    "py": 'def word():\n    return "{word}"\n',
    "lua": 'return function() return "{word}" end\n',
    "js": 'exports.word = function () {{ return "{word}"; }};\n',
    "sq": '::{name} <- function() {{ return "{word}"; }}\n',
}
LANGUAGES = list(SCRIPTS)


def write(directory: Path, language: str) -> Path:
    """The script and its files; the words are One and Two."""
    say(directory, language, "first", "One")
    say(directory, language, "late", "Two")
    script = directory / f"script.{language}"
    script.write_text(SCRIPTS[language].replace("DIRECTORY", f'"{directory}"'))
    return script


def say(directory: Path, language: str, name: str, word: str) -> None:
    """Let one of the files say another word."""
    (directory / f"{name}.{language}").write_text(WORDS[language].format(name=name, word=word))
