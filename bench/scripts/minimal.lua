-- The least that a stateful, record-routing proxy does: the same as minimal.py.

function ksr_request_route()
	if KSR.maxfwd.process_maxfwd(10) < 0 then
		KSR.sl.sl_send_reply(483, "Too Many Hops")
		KSR.x.exit()
	end
	if KSR.siputils.has_totag() > 0 then
		if KSR.rr.loose_route() < 0 then
			if not KSR.is_ACK() then
				KSR.sl.sl_send_reply(404, "Not Here")
			elseif KSR.tm.t_check_trans() > 0 then
				KSR.tm.t_relay()
			end
			KSR.x.exit()
		end
	else
		if KSR.is_OPTIONS() and KSR.is_myself_ruri() then
			KSR.sl.sl_send_reply(200, "OK")
			KSR.x.exit()
		end
		if KSR.is_CANCEL() then
			if KSR.tm.t_check_trans() > 0 then KSR.tm.t_relay() end
			KSR.x.exit()
		end
		if KSR.is_method_in("IS") then KSR.rr.record_route() end
	end
	if KSR.tm.t_relay() < 0 then KSR.sl.sl_reply_error() end
	KSR.x.exit()
end
