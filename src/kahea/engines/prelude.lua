-- What every Lua script is given, run once in each fresh runtime before the script itself.
--
-- A function of KSR does not call Python: it yields to the engine with its number and arguments, and is resumed with the
-- result. So no frame of Lua is on the C stack while Python works, and a function that waits suspends its own coroutine
-- and nothing else. Coroutines of the script pass such yields on (`pump`). Where Lua can't yield (a callback of
-- string.gsub, a comparison of table.sort) the function is called directly, and may not wait.
--
-- exports: rows {group, name, number}; direct(number, ...): value, error; held(): an error text once the script has had
-- the node for too long, else nil; loads(path): told of each file that the script loads; memory_limit in kB, 0 for none;
-- ticks: steps of the hook between questions of time, 0 for no limit of time.
local exports, direct, held, loads, memory_limit, ticks = ...

local EXIT = "~~ksr~exit~~" -- what KSR.x.exit() raises, also in Kamailio
local STEP = 1000 -- instructions between two calls of the hook
local CALL = {} -- marks a yield of a KSR function in a coroutine of the script

direct, held, loads = python.as_function(direct), python.as_function(held), python.as_function(loads)
local G = _G
local yield, create, resume = coroutine.yield, coroutine.create, coroutine.resume
local yieldable, running = coroutine.isyieldable, coroutine.running
local xpcall, error, type, tostring, pairs = xpcall, error, type, tostring, pairs
local getinfo, traceback, sethook, memory = debug.getinfo, debug.traceback, debug.sethook, collectgarbage

-- Limits

local doomed = nil -- why the running script must end
local left = ticks

local function too_much()
	if memory("count") <= memory_limit then return false end
	memory("collect")
	return memory("count") > memory_limit
end

local function at(why) -- with the place in the script that is running
	local level, info = 3, getinfo(3, "Sl")
	while info and (info.currentline < 0 or info.short_src == "[kahea]") do
		level = level + 1
		info = getinfo(level, "Sl")
	end
	return info and info.short_src .. ":" .. info.currentline .. ": " .. why or why
end

local hook
function hook()
	local full = memory_limit > 0 and memory("count") > memory_limit
	if ticks > 0 and not doomed then
		left = left - 1
		-- At the limit of memory each step costs a collection or more: time is looked at each time.
		if left <= 0 or full then
			left = ticks
			doomed = held()
			-- From here on at each instruction, so that no pcall of the script can go on.
			if doomed then doomed = at(doomed) sethook(hook, "", 1) end
		end
	end
	if not doomed and not full then return end
	-- Not in the code of this file, which could not go on.
	if getinfo(2, "S").short_src == "[kahea]" then return end
	if doomed then error(doomed, 0) end
	if too_much() then error(at("the script's memory limit is reached"), 0) end
end

local function pardon() -- the doomed script has ended
	if doomed then
		doomed = nil
		sethook(hook, "", STEP)
	end
end

local limited = ticks > 0 or memory_limit > 0
local function watch(co)
	-- LuaJIT has one hook for all coroutines, and setting it begins its count anew.
	if limited and not jit then sethook(co, hook, "", STEP) end
end
if limited and jit then sethook(hook, "", STEP) end

-- Calling functions of KSR

local depth = 0 -- how many coroutines of the script are around the running one

local function ask(...)
	if depth == 0 then return yield(...) end
	return yield(CALL, ...)
end

local function export(number)
	return function(...)
		local value, raised
		if yieldable() then
			value, raised = ask(number, ...)
		else
			value, raised = direct(number, ...)
		end
		if raised ~= nil then
			if raised == EXIT then error(EXIT, 0) end
			error(raised, 2)
		end
		return value
	end
end

local KSR = { x = {} }
for _, row in pairs(exports) do
	local group, name, number = row[1], row[2], row[3]
	local home = KSR
	if group ~= "" then
		home = KSR[group] or {}
		KSR[group] = home
	end
	home[name] = export(number)
end
function KSR.x.exit() error(EXIT, 0) end
function KSR.x.drop()
	KSR.set_drop()
	error(EXIT, 0)
end
G.KSR = KSR

-- Coroutines of the script

local pump
local function enter(co, ...)
	depth = depth + 1
	return resume(co, ...)
end
function pump(co, ok, mark, ...)
	depth = depth - 1
	if ok and mark == CALL then return pump(co, enter(co, ask(...))) end
	return ok, mark, ...
end

function coroutine.create(f)
	local co = create(f)
	watch(co)
	return co
end

function coroutine.resume(co, ...)
	return pump(co, enter(co, ...))
end

local function finish(ok, ...)
	if not ok then
		local message = ...
		error(message, 0)
	end
	return ...
end

function coroutine.wrap(f)
	local co = coroutine.create(f)
	return function(...)
		return finish(coroutine.resume(co, ...))
	end
end

-- Files that the script loads, which are watched as it is

local searchpath, loadfile, dofile = package.searchpath, loadfile, dofile
local searchers = package.searchers or package.loaders
searchers[2] = function(name)
	local path, why = searchpath(name, package.path)
	if not path then return why end
	loads(path)
	local chunk, wrong = loadfile(path)
	if not chunk then error("error loading module '" .. name .. "' from file '" .. path .. "':\n\t" .. wrong, 0) end
	return chunk, path
end
function G.loadfile(path, ...)
	if type(path) == "string" then loads(path) end
	return loadfile(path, ...)
end
function G.dofile(path)
	if type(path) == "string" then loads(path) end
	return dofile(path)
end

-- What would end the node

if limited then
	function debug.sethook() error("debug.sethook() is taken by the limits of time and memory", 2) end
end
function os.exit() error("os.exit() would end the node; KSR.x.exit() ends the script", 2) end
G.python = nil

-- Without a limit of its own, LuaJIT would take any size.
local rep = string.rep
if memory_limit > 0 then
	function string.rep(s, n, ...)
		if type(s) == "string" and type(n) == "number" and #s * n > memory_limit * 1024 then
			error("the script's memory limit is reached", 2)
		end
		return rep(s, n, ...)
	end
end

-- Jobs: each coroutine of the engine runs one after the other, `yield(0, ok, value, trace)` between them.

local trace

local function handler(raised)
	pardon()
	depth = 0
	if raised == EXIT then return EXIT end
	trace = traceback("", 2)
	if type(raised) == "table" or type(raised) == "userdata" then return tostring(raised) end
	return raised
end

local function done(ok, value, ...)
	depth = 0
	local why = trace
	trace = nil
	local kind = type(value)
	if kind == "table" or kind == "function" or kind == "userdata" or kind == "thread" then value = nil end
	return yield(0, ok, value, why)
end

local function job(what, ...)
	pardon()
	left = ticks
	if memory_limit > 0 and memory("count") > memory_limit and too_much() then
		return done(false, "the script's memory limit is reached", "")
	end
	local f = what
	if type(what) == "string" then
		f = G[what]
		if f == nil then return done(false, "there is no function " .. what .. " in the script") end
	end
	return done(xpcall(f, handler, ...))
end

local function work(...)
	return work(job(...))
end

return function(...)
	watch(running())
	return work(...)
end, function(name)
	local f = G[name]
	return type(f) == "function"
end
