-- A stateful proxy that asks an API about each new call, and waits: the same as script.py.

function ksr_request_route()
	if KSR.maxfwd.process_maxfwd(10) < 0 then
		KSR.sl.sl_send_reply(483, "Too Many Hops")
		return 1
	end
	if KSR.siputils.has_totag() > 0 then
		if KSR.rr.loose_route() > 0 then KSR.tm.t_relay() end
		return 1
	end
	if KSR.is_OPTIONS() and KSR.is_myself_ruri() then
		KSR.sl.sl_send_reply(200, "OK")
		return 1
	end
	if KSR.is_INVITE() then
		local url = "http://127.0.0.1:23650/route?to=" .. KSR.pv.get("$rU")
		if KSR.http_client.query(url, "$var(answer)") ~= 200 or KSR.pv.get("$var(answer)") ~= "yes" then
			KSR.sl.sl_send_reply(503, "No Route")
			return 1
		end
		KSR.rr.record_route()
	end
	if KSR.tm.t_relay() < 0 then KSR.sl.sl_reply_error() end
	return 1
end
