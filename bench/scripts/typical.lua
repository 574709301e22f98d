-- A registrar and proxy with the usual checks and all routes armed: the same as typical.py.

local function relay()
	if KSR.is_method_in("IBSU") and KSR.tm.t_is_set("branch_route") < 0 then KSR.tm.t_on_branch("branch") end
	if KSR.is_method_in("ISU") and KSR.tm.t_is_set("onreply_route") < 0 then KSR.tm.t_on_reply("reply") end
	if KSR.is_INVITE() and KSR.tm.t_is_set("failure_route") < 0 then KSR.tm.t_on_failure("failure") end
	if KSR.tm.t_relay() < 0 then KSR.sl.sl_reply_error() end
	KSR.x.exit()
end

local function checks()
	KSR.force_rport()
	local ua = KSR.pv.gete("$ua")
	if string.find(ua, "friendly") or string.find(ua, "scanner") or string.find(ua, "sipvicious") then KSR.x.exit() end
	if KSR.maxfwd.process_maxfwd(10) < 0 then
		KSR.sl.sl_send_reply(483, "Too Many Hops")
		KSR.x.exit()
	end
	if KSR.is_OPTIONS() and KSR.is_myself_ruri() and KSR.pv.is_null("$rU") then
		KSR.sl.sl_send_reply(200, "Keepalive")
		KSR.x.exit()
	end
	if KSR.sanity.sanity_check(17895, 7) < 0 then
		KSR.warn("malformed request from " .. KSR.pv.getw("$si") .. "\n")
		KSR.x.exit()
	end
end

local function in_dialog()
	if KSR.siputils.has_totag() < 0 then return end
	if KSR.rr.loose_route() > 0 then relay() end
	if KSR.is_ACK() then
		if KSR.tm.t_check_trans() > 0 then relay() end
		KSR.x.exit()
	end
	KSR.sl.sl_send_reply(404, "Not Here")
	KSR.x.exit()
end

function ksr_request_route()
	checks()
	if KSR.is_CANCEL() then
		if KSR.tm.t_check_trans() > 0 then relay() end
		KSR.x.exit()
	end
	if not KSR.is_ACK() then
		if KSR.tmx.t_precheck_trans() > 0 then
			KSR.tm.t_check_trans()
			KSR.x.exit()
		end
		if KSR.tm.t_check_trans() == 0 then KSR.x.exit() end
	end
	in_dialog()

	KSR.hdr.remove("Route")
	if KSR.is_method_in("IS") then KSR.rr.record_route() end
	if not KSR.is_myself_ruri() then relay() end
	if KSR.is_REGISTER() then
		if KSR.registrar.save("location", 0) < 0 then KSR.sl.sl_reply_error() end
		KSR.x.exit()
	end
	if KSR.pv.is_null("$rU") then
		KSR.sl.sl_send_reply(484, "Address Incomplete")
		KSR.x.exit()
	end
	local found = KSR.registrar.lookup("location")
	if found < 0 then
		KSR.tm.t_newtran()
		if found == -2 then
			KSR.sl.send_reply(405, "Method Not Allowed")
		else
			KSR.sl.send_reply(404, "Not Found")
		end
		KSR.x.exit()
	end
	relay()
end

function branch()
	KSR.xlog.xdbg("branch [$T_branch_idx] to $ru\n")
	return 1
end

function reply()
	local status = KSR.kx.get_status()
	if status >= 100 and status < 300 then KSR.xlog.xdbg("reply $rs\n") end
	return 1
end

function failure()
	if KSR.tm.t_is_canceled() > 0 then KSR.x.exit() end
	return 1
end
