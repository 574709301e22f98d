// A registrar and proxy with the usual checks and all routes armed: the same as typical.py.

function relay() {
	if (KSR.is_method_in("IBSU") && KSR.tm.t_is_set("branch_route") < 0) KSR.tm.t_on_branch("branch");
	if (KSR.is_method_in("ISU") && KSR.tm.t_is_set("onreply_route") < 0) KSR.tm.t_on_reply("reply");
	if (KSR.is_INVITE() && KSR.tm.t_is_set("failure_route") < 0) KSR.tm.t_on_failure("failure");
	if (KSR.tm.t_relay() < 0) KSR.sl.sl_reply_error();
	KSR.x.exit();
}

function checks() {
	KSR.force_rport();
	var ua = KSR.pv.gete("$ua");
	if (ua.indexOf("friendly") >= 0 || ua.indexOf("scanner") >= 0 || ua.indexOf("sipvicious") >= 0) KSR.x.exit();
	if (KSR.maxfwd.process_maxfwd(10) < 0) {
		KSR.sl.sl_send_reply(483, "Too Many Hops");
		KSR.x.exit();
	}
	if (KSR.is_OPTIONS() && KSR.is_myself_ruri() && KSR.pv.is_null("$rU")) {
		KSR.sl.sl_send_reply(200, "Keepalive");
		KSR.x.exit();
	}
	if (KSR.sanity.sanity_check(17895, 7) < 0) {
		KSR.warn("malformed request from " + KSR.pv.getw("$si") + "\n");
		KSR.x.exit();
	}
}

function in_dialog() {
	if (KSR.siputils.has_totag() < 0) return;
	if (KSR.rr.loose_route() > 0) relay();
	if (KSR.is_ACK()) {
		if (KSR.tm.t_check_trans() > 0) relay();
		KSR.x.exit();
	}
	KSR.sl.sl_send_reply(404, "Not Here");
	KSR.x.exit();
}

function ksr_request_route() {
	checks();
	if (KSR.is_CANCEL()) {
		if (KSR.tm.t_check_trans() > 0) relay();
		KSR.x.exit();
	}
	if (!KSR.is_ACK()) {
		if (KSR.tmx.t_precheck_trans() > 0) {
			KSR.tm.t_check_trans();
			KSR.x.exit();
		}
		if (KSR.tm.t_check_trans() === 0) KSR.x.exit();
	}
	in_dialog();

	KSR.hdr.remove("Route");
	if (KSR.is_method_in("IS")) KSR.rr.record_route();
	if (!KSR.is_myself_ruri()) relay();
	if (KSR.is_REGISTER()) {
		if (KSR.registrar.save("location", 0) < 0) KSR.sl.sl_reply_error();
		KSR.x.exit();
	}
	if (KSR.pv.is_null("$rU")) {
		KSR.sl.sl_send_reply(484, "Address Incomplete");
		KSR.x.exit();
	}
	var found = KSR.registrar.lookup("location");
	if (found < 0) {
		KSR.tm.t_newtran();
		if (found === -2) KSR.sl.send_reply(405, "Method Not Allowed");
		else KSR.sl.send_reply(404, "Not Found");
		KSR.x.exit();
	}
	relay();
}

function branch() {
	KSR.xlog.xdbg("branch [$T_branch_idx] to $ru\n");
	return 1;
}

function reply() {
	var status = KSR.kx.get_status();
	if (status >= 100 && status < 300) KSR.xlog.xdbg("reply $rs\n");
	return 1;
}

function failure() {
	if (KSR.tm.t_is_canceled() > 0) KSR.x.exit();
	return 1;
}
