function ksr_request_route()
	if KSR.is_OPTIONS() and string.find(KSR.pv.gete("$rU"), "^ping") then
		KSR.sl.sl_send_reply(200, "Here")
		KSR.x.exit()
	end
	if KSR.maxfwd.process_maxfwd(10) < 0 or KSR.x.modf("has_totag") > 0 then return -255 end
	KSR.hdr.append("X-Source: " .. KSR.kx.get_srcip() .. "\r\n")
	KSR.tm.t_on_branch("ksr_branch")
	KSR.tm.t_relay()
	return 1
end
