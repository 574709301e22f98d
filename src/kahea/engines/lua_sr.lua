-- `sr`, what Lua scripts called Kamailio by before KEMI (module app_lua_sr), over KSR. Run after the prelude.
--
-- Functions and their results are as Kamailio 5.6.3 was seen to have them: those of `sr.hdr`, `sr.log` and the setters of
-- `sr.pv` return nothing. names: the modules of the parameter `register`.
local names = ...
local KSR = KSR

local function quiet(f) -- without a result
	return function(...) f(...) end
end

sr = {
	log = quiet(KSR.log), dbg = quiet(KSR.dbg), err = quiet(KSR.err), modf = KSR.x.modf,
	is_myself = KSR.is_myself,
	setflag = KSR.setflag, resetflag = KSR.resetflag, isflagset = KSR.isflagset,
	setbflag = KSR.setbflag, resetbflag = KSR.resetbflag, isbflagset = KSR.isbflagset,
	seturi = KSR.seturi, setuser = KSR.setuser, sethost = KSR.sethost,
	setdsturi = KSR.setdsturi, resetdsturi = KSR.resetdsturi,
}
function sr.probe() KSR.dbg("probing sr\n") end

sr.hdr = {}
for _, name in pairs({ "append", "insert", "remove", "append_to_reply" }) do sr.hdr[name] = quiet(KSR.hdr[name]) end

sr.pv = {
	get = KSR.pv.get, gete = KSR.pv.gete, getvn = KSR.pv.getvn, getvs = KSR.pv.getvs, is_null = KSR.pv.is_null,
	seti = quiet(KSR.pv.seti), sets = quiet(KSR.pv.sets), unset = quiet(KSR.pv.unset),
}
function sr.pv.getw(name)
	local value = KSR.pv.get(name)
	if value == nil then return "<<null>>" end
	return value
end

-- With what an argument that is left out stands for.
local function defaults(f, ...)
	local given = { ... }
	return function(first, second)
		if first == nil then first = given[1] end
		if second == nil then second = given[2] end
		return f(first, second)
	end
end

local MODULES = {
	maxfwd = { "process_maxfwd" },
	registrar = { "save", "lookup", "lookup_to_dset", "registered" },
	rr = { "record_route", "loose_route", "add_rr_param" },
	sanity = { "sanity_check" },
	siputils = { "has_totag", "is_uri_user_e164" },
	sl = { "send_reply", "get_reply_totag" },
	textops = { "is_privacy" },
	tm = {
		"t_check_trans", "t_is_canceled", "t_load_contacts", "t_newtran", "t_next_contacts", "t_on_branch",
		"t_on_branch_failure", "t_on_failure", "t_on_reply", "t_relay", "t_release", "t_replicate", "t_reply",
	},
}
local MADE = {
	["sl.get_reply_totag"] = KSR.sl and KSR.sl.get_reply_tag,
	["sanity.sanity_check"] = KSR.sanity and defaults(KSR.sanity.sanity_check, 1511, 7),
	["registrar.save"] = KSR.registrar and defaults(KSR.registrar.save, "location", 0),
}
for _, name in pairs(names) do
	local listed, home = MODULES[name], KSR[name]
	if not listed then error("app_lua_sr: sr." .. name .. " is not supported yet", 0) end
	if not home then error("app_lua_sr: module " .. name .. " is not loaded", 0) end
	sr[name] = {}
	for _, f in pairs(listed) do sr[name][f] = MADE[name .. "." .. f] or home[f] end
end
