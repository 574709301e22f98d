// What every script is given beside KSR, run in each fresh context before the script itself.
//
// names: the groups of KSR; group(name): the object of one; evaluate(source, path): the value of a program.
(function (names, group, evaluate) {
	"use strict";
	const EXIT = "~~ksr~exit~~"; // what KSR.x.exit() throws, also in Kamailio
	const KSR = globalThis.KSR;
	const { resolve } = group("__hidden"); // resolve(id, from): path and source, parted by NUL

	// Groups are made when first used: all of them would be most of a context.
	for (const name of names.split(",")) {
		if (name === "__hidden") continue;
		const become = (value) =>
			Object.defineProperty(KSR, name, { value, writable: true, enumerable: true, configurable: true });
		Object.defineProperty(KSR, name, {
			get() {
				become(group(name));
				return KSR[name];
			},
			set: become,
			enumerable: true,
			configurable: true,
		});
	}

	KSR.x.exit = function exit() { throw EXIT; };
	KSR.x.drop = function drop() { KSR.set_drop(); throw EXIT; };

	// CommonJS modules, each run once in a context.
	const loaded = Object.create(null);
	function requirer(from) {
		return function require(id) {
			const found = resolve(String(id), from);
			const at = found.indexOf("\0");
			const path = found.slice(0, at);
			if (!(path in loaded)) {
				const module = (loaded[path] = { id: path, exports: {} });
				try {
					// On one line with the source, whose lines so keep their numbers.
					const wrapped = "(function (exports, require, module) {" + found.slice(at + 1) + "\n})";
					evaluate(wrapped, path).call(module.exports, module.exports, requirer(path), module);
				} catch (error) {
					delete loaded[path];
					throw error;
				}
			}
			return loaded[path].exports;
		};
	}
	globalThis.require = requirer("");
	delete globalThis.__groups;
	delete globalThis.__group;
	delete globalThis.__evaluate;
})(globalThis.__groups, globalThis.__group, globalThis.__evaluate);
