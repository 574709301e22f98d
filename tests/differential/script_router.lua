-- The registrar and proxy of script_router.py, in Lua.

local FLAG_SEEN, FLAG_FAILED, FLAG_NATED, BRANCH_NATED = 1, 2, 5, 6

local function relay()
	if KSR.is_method_in("IBSU") and KSR.tm.t_is_set("branch_route") < 0 then KSR.tm.t_on_branch("ksr_branch") end
	if KSR.is_method_in("ISU") and KSR.tm.t_is_set("onreply_route") < 0 then KSR.tm.t_on_reply("ksr_onreply") end
	if KSR.is_INVITE() and KSR.tm.t_is_set("failure_route") < 0 then KSR.tm.t_on_failure("ksr_failure") end
	if KSR.tm.t_relay() < 0 then KSR.sl.sl_reply_error() end
end

-- Refuses what should go no further; ends the script if the request was answered.
local function checks()
	KSR.force_rport()
	if KSR.corex.has_user_agent() > 0 and string.find(KSR.kx.gete_ua(), "scanner", 1, true) then
		KSR.sl.sl_send_reply(200, "Nothing here")
		KSR.x.exit()
	end
	if KSR.maxfwd.process_maxfwd(10) < 0 then
		KSR.sl.sl_send_reply(483, "Too Many Hops")
		KSR.x.exit()
	end
	if KSR.is_OPTIONS() and KSR.is_myself_ruri() and KSR.corex.has_ruri_user() < 0 then
		KSR.sl.sl_send_reply(200, "Keepalive")
		KSR.x.exit()
	end
	if KSR.sanity.sanity_check(17895, 7) < 0 then
		KSR.err("script_router: malformed request from " .. KSR.kx.get_srcip() .. "\n")
		KSR.x.exit()
	end
end

-- Most phones bring back an alias; for the others the Contact itself is changed.
local function nat_contact()
	local way = KSR.hdr.get("X-Contact")
	if way == "fix" then
		KSR.nathelper.fix_nated_contact()
	elseif way == "add" then
		KSR.nathelper.add_contact_alias()
	else
		KSR.nathelper.set_contact_alias()
	end
end

-- Who sent the request stands behind a NAT: tells where its answers and later requests have to go.
local function nat_detect()
	if KSR.nathelper.nat_uac_test(19) < 0 then return end
	if KSR.is_REGISTER() then
		KSR.nathelper.fix_nated_register()
	elseif KSR.siputils.is_first_hop() > 0 then
		nat_contact()
	end
	KSR.setflag(FLAG_NATED)
end

-- A message whose sender or receiver stands behind a NAT, where media are not relayed.
local function nat_manage()
	local request, within = KSR.siputils.is_request() > 0, KSR.siputils.has_totag() > 0
	if request and within and KSR.rr.check_route_param("nat=yes") > 0 then KSR.setbflag(BRANCH_NATED) end
	if not (KSR.isflagset(FLAG_NATED) or KSR.isbflagset(BRANCH_NATED)) then return end
	if KSR.nathelper.nat_uac_test(8) > 0 then KSR.nathelper.fix_nated_sdp(10) end
	if request and not within and KSR.tmx.t_is_branch_route() > 0 then KSR.rr.add_rr_param(";nat=yes") end
	if not request and KSR.isbflagset(BRANCH_NATED) and KSR.siputils.is_first_hop() > 0 then nat_contact() end
	if request and within and KSR.isbflagset(BRANCH_NATED) then KSR.set_forward_no_connect() end
end

-- Requests inside of dialogs.
local function dialog()
	if KSR.siputils.has_totag() < 0 then return end
	if KSR.rr.loose_route() > 0 then
		if not KSR.isdsturiset() and KSR.nathelper.handle_ruri_alias() < 0 then
			KSR.sl.sl_send_reply(400, "Bad Alias")
			KSR.x.exit()
		end
		if KSR.is_BYE() then
			KSR.setflag(FLAG_SEEN)
		elseif KSR.is_ACK() then
			nat_manage()
		elseif KSR.is_NOTIFY() then
			KSR.rr.record_route()
		end
		relay()
	elseif KSR.is_ACK() then
		if KSR.tm.t_check_trans() > 0 then relay() end
	else
		KSR.sl.sl_send_reply(404, "Not here")
	end
	KSR.x.exit()
end

local function register()
	if KSR.isflagset(FLAG_NATED) then KSR.setbflag(BRANCH_NATED) end
	if KSR.registrar.save("location", 0) < 0 then KSR.sl.sl_reply_error() end
end

local function location()
	local found = KSR.registrar.lookup("location")
	if found < 0 then
		KSR.tm.t_newtran()
		if found == -2 then
			KSR.sl.send_reply(405, "Method Not Allowed")
		else
			KSR.sl.send_reply(404, "Not Found")
		end
		return
	end
	if string.sub(KSR.pv.get("$rU"), 1, 6) == "serial" then
		KSR.tm.t_load_contacts()
		KSR.tm.t_next_contacts()
	end
	relay()
end

function ksr_request_route()
	if KSR.is_OPTIONS() and KSR.kx.get_ruser() == "barrier" then
		KSR.sl.sl_send_reply(200, "Here")
		return 1
	end
	checks()
	nat_detect()
	if KSR.is_CANCEL() then
		if KSR.tm.t_check_trans() > 0 then relay() end
		return 1
	end
	dialog()
	if KSR.tmx.t_precheck_trans() > 0 then
		KSR.tm.t_check_trans()
		return 1
	end
	if KSR.tm.t_check_trans() == 0 then return 1 end

	KSR.hdr.remove("Route")
	if KSR.is_method_in("IS") then KSR.rr.record_route() end
	if KSR.is_INVITE() then KSR.setflag(FLAG_SEEN) end

	if not KSR.is_myself_ruri() then
		KSR.hdr.append("P-Hint: outbound\r\n")
		relay()
		return 1
	end
	if KSR.is_REGISTER() then
		register()
		return 1
	end
	if KSR.corex.has_ruri_user() < 0 then
		KSR.sl.sl_send_reply(484, "Address Incomplete")
		return 1
	end
	location()
	return 1
end

function ksr_branch()
	KSR.dbg("script_router: branch " .. KSR.tm.t_get_branch_index() .. "\n")
	if KSR.siputils.is_request() > 0 and KSR.tmx.t_is_branch_route() > 0 then
		KSR.hdr.append("X-Branch-Index: " .. KSR.pv.get("$T_branch_idx") .. "\r\n")
	end
	if not KSR.pv.is_null("$rd") and KSR.isdsturiset() then KSR.hdr.append("X-Via-Destination: yes\r\n") end
	nat_manage()
	return 1
end

function ksr_onreply()
	if KSR.siputils.is_reply() > 0 then
		local status = KSR.kx.gets_status()
		if string.sub(status, 1, 1) == "1" then KSR.hdr.append("X-Progress: " .. status .. "\r\n") end
	end
	if KSR.pv.gete("$hdr(X-Noise)") ~= "" then KSR.hdr.remove("X-Noise") end
	if KSR.kx.get_status() < 300 then nat_manage() end
	return 1
end

function ksr_reply_route()
	if KSR.kx.get_status() == 299 then KSR.x.drop() end
	if KSR.siputils.is_first_hop() > 0 then KSR.dbg("script_router: reply of a first hop\n") end
	return 1
end

function ksr_onsend_route() return 1 end

function ksr_failure()
	if KSR.tm.t_is_canceled() > 0 then return 1 end
	if KSR.isflagset(FLAG_SEEN) then KSR.setflag(FLAG_FAILED) end
	if KSR.tm.t_next_contacts() > 0 then
		KSR.tm.t_on_failure("ksr_failure")
		relay()
		return 1
	end
	if KSR.tm.t_check_status("486|408") > 0 and KSR.kx.get_ruser() ~= "voicemail" then
		local target = KSR.hdr.get("X-Voicemail")
		if target then
			KSR.seturi(target)
			KSR.resetdsturi()
			KSR.tm.t_relay()
		end
	end
	return 1
end
