-- A registrar and proxy: phones register here, and call one another by name.
--
-- KSR has the functions of Kamailio's modules; `kahea functions` lists them. A function's answer is yes above 0, no
-- below. Nobody is asked for a password: add that before this meets the Internet.

-- A request of a call that exists goes where the call went.
local function within_dialog()
	if KSR.rr.loose_route() > 0 or (KSR.is_ACK() and KSR.tm.t_check_trans() > 0) then
		KSR.tm.t_relay()
	elseif not KSR.is_ACK() then
		KSR.sl.sl_send_reply(404, "Not Here")
	end
end

-- A first request goes to where the called user has registered.
local function to_phone()
	if KSR.registrar.lookup("location") < 0 then
		KSR.sl.sl_send_reply(404, "Not Found")
		return
	end
	if KSR.is_INVITE() then
		KSR.rr.record_route()
		KSR.tm.t_on_failure("ksr_failure")
	end
	KSR.tm.t_relay()
end

-- Every request starts here.
function ksr_request_route()
	if KSR.maxfwd.process_maxfwd(10) < 0 then
		KSR.sl.sl_send_reply(483, "Too Many Hops")
	elseif KSR.is_CANCEL() then
		if KSR.tm.t_check_trans() > 0 then KSR.tm.t_relay() end
	elseif KSR.siputils.has_totag() > 0 then
		within_dialog()
	elseif KSR.tm.t_check_trans() == 0 then
		return -- sent again: the answer was, too
	elseif not KSR.is_myself_ruri() then
		KSR.sl.sl_send_reply(403, "Relaying Denied")
	elseif KSR.is_REGISTER() then
		KSR.registrar.save("location", 0)
	elseif KSR.is_OPTIONS() and KSR.corex.has_ruri_user() < 0 then
		KSR.sl.sl_send_reply(200, "Here")
	else
		to_phone()
	end
end

-- All phones of the called user refused, or none answered: here a call may go elsewhere.
function ksr_failure()
	if KSR.tm.t_is_canceled() < 0 then KSR.info("nobody answered at " .. KSR.pv.getw("$ru") .. "\n") end
end
