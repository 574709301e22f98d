// The least that a stateful, record-routing proxy does: the same as minimal.py.

function ksr_request_route() {
	if (KSR.maxfwd.process_maxfwd(10) < 0) {
		KSR.sl.sl_send_reply(483, "Too Many Hops");
		KSR.x.exit();
	}
	if (KSR.siputils.has_totag() > 0) {
		if (KSR.rr.loose_route() < 0) {
			if (!KSR.is_ACK()) KSR.sl.sl_send_reply(404, "Not Here");
			else if (KSR.tm.t_check_trans() > 0) KSR.tm.t_relay();
			KSR.x.exit();
		}
	} else {
		if (KSR.is_OPTIONS() && KSR.is_myself_ruri()) {
			KSR.sl.sl_send_reply(200, "OK");
			KSR.x.exit();
		}
		if (KSR.is_CANCEL()) {
			if (KSR.tm.t_check_trans() > 0) KSR.tm.t_relay();
			KSR.x.exit();
		}
		if (KSR.is_method_in("IS")) KSR.rr.record_route();
	}
	if (KSR.tm.t_relay() < 0) KSR.sl.sl_reply_error();
	KSR.x.exit();
}
