// The registrar and proxy of script_router.py, in JavaScript (that of Duktape as well as QuickJS).

var FLAG_SEEN = 1, FLAG_FAILED = 2, FLAG_NATED = 5, BRANCH_NATED = 6;

function relay() {
	if (KSR.is_method_in("IBSU") && KSR.tm.t_is_set("branch_route") < 0) KSR.tm.t_on_branch("ksr_branch");
	if (KSR.is_method_in("ISU") && KSR.tm.t_is_set("onreply_route") < 0) KSR.tm.t_on_reply("ksr_onreply");
	if (KSR.is_INVITE() && KSR.tm.t_is_set("failure_route") < 0) KSR.tm.t_on_failure("ksr_failure");
	if (KSR.tm.t_relay() < 0) KSR.sl.sl_reply_error();
}

// Refuses what should go no further; ends the script if the request was answered.
function checks() {
	KSR.force_rport();
	if (KSR.corex.has_user_agent() > 0 && KSR.kx.gete_ua().indexOf("scanner") >= 0) {
		KSR.sl.sl_send_reply(200, "Nothing here");
		KSR.x.exit();
	}
	if (KSR.maxfwd.process_maxfwd(10) < 0) {
		KSR.sl.sl_send_reply(483, "Too Many Hops");
		KSR.x.exit();
	}
	if (KSR.is_OPTIONS() && KSR.is_myself_ruri() && KSR.corex.has_ruri_user() < 0) {
		KSR.sl.sl_send_reply(200, "Keepalive");
		KSR.x.exit();
	}
	if (KSR.sanity.sanity_check(17895, 7) < 0) {
		KSR.err("script_router: malformed request from " + KSR.kx.get_srcip() + "\n");
		KSR.x.exit();
	}
}

// Who sent the request stands behind a NAT: tells where its answers and later requests have to go.
function nat_detect() {
	if (KSR.nathelper.nat_uac_test(19) < 0) return;
	if (KSR.is_REGISTER()) KSR.nathelper.fix_nated_register();
	else if (KSR.siputils.is_first_hop() > 0) nat_contact();
	KSR.setflag(FLAG_NATED);
}

// Most phones bring back an alias; for the others the Contact itself is changed.
function nat_contact() {
	var way = KSR.hdr.get("X-Contact");
	if (way === "fix") KSR.nathelper.fix_nated_contact();
	else if (way === "add") KSR.nathelper.add_contact_alias();
	else KSR.nathelper.set_contact_alias();
}

// A message whose sender or receiver stands behind a NAT, where media are not relayed.
function nat_manage() {
	var request = KSR.siputils.is_request() > 0, within = KSR.siputils.has_totag() > 0;
	if (request && within && KSR.rr.check_route_param("nat=yes") > 0) KSR.setbflag(BRANCH_NATED);
	if (!(KSR.isflagset(FLAG_NATED) || KSR.isbflagset(BRANCH_NATED))) return;
	if (KSR.nathelper.nat_uac_test(8) > 0) KSR.nathelper.fix_nated_sdp(10);
	if (request && !within && KSR.tmx.t_is_branch_route() > 0) KSR.rr.add_rr_param(";nat=yes");
	if (!request && KSR.isbflagset(BRANCH_NATED) && KSR.siputils.is_first_hop() > 0) nat_contact();
	if (request && within && KSR.isbflagset(BRANCH_NATED)) KSR.set_forward_no_connect();
}

// Requests inside of dialogs.
function dialog() {
	if (KSR.siputils.has_totag() < 0) return;
	if (KSR.rr.loose_route() > 0) {
		if (!KSR.isdsturiset() && KSR.nathelper.handle_ruri_alias() < 0) {
			KSR.sl.sl_send_reply(400, "Bad Alias");
			KSR.x.exit();
		}
		if (KSR.is_BYE()) KSR.setflag(FLAG_SEEN);
		else if (KSR.is_ACK()) nat_manage();
		else if (KSR.is_NOTIFY()) KSR.rr.record_route();
		relay();
	} else if (KSR.is_ACK()) {
		if (KSR.tm.t_check_trans() > 0) relay();
	} else {
		KSR.sl.sl_send_reply(404, "Not here");
	}
	KSR.x.exit();
}

function register() {
	if (KSR.isflagset(FLAG_NATED)) KSR.setbflag(BRANCH_NATED);
	if (KSR.registrar.save("location", 0) < 0) KSR.sl.sl_reply_error();
}

function location() {
	var found = KSR.registrar.lookup("location");
	if (found < 0) {
		KSR.tm.t_newtran();
		if (found === -2) KSR.sl.send_reply(405, "Method Not Allowed");
		else KSR.sl.send_reply(404, "Not Found");
		return;
	}
	if (KSR.pv.get("$rU").indexOf("serial") === 0) {
		KSR.tm.t_load_contacts();
		KSR.tm.t_next_contacts();
	}
	relay();
}

function ksr_request_route() {
	if (KSR.is_OPTIONS() && KSR.kx.get_ruser() === "barrier") {
		KSR.sl.sl_send_reply(200, "Here");
		return 1;
	}
	checks();
	nat_detect();
	if (KSR.is_CANCEL()) {
		if (KSR.tm.t_check_trans() > 0) relay();
		return 1;
	}
	dialog();
	if (KSR.tmx.t_precheck_trans() > 0) {
		KSR.tm.t_check_trans();
		return 1;
	}
	if (KSR.tm.t_check_trans() === 0) return 1;

	KSR.hdr.remove("Route");
	if (KSR.is_method_in("IS")) KSR.rr.record_route();
	if (KSR.is_INVITE()) KSR.setflag(FLAG_SEEN);

	if (!KSR.is_myself_ruri()) {
		KSR.hdr.append("P-Hint: outbound\r\n");
		relay();
		return 1;
	}
	if (KSR.is_REGISTER()) {
		register();
		return 1;
	}
	if (KSR.corex.has_ruri_user() < 0) {
		KSR.sl.sl_send_reply(484, "Address Incomplete");
		return 1;
	}
	location();
	return 1;
}

function ksr_branch() {
	KSR.dbg("script_router: branch " + KSR.tm.t_get_branch_index() + "\n");
	if (KSR.siputils.is_request() > 0 && KSR.tmx.t_is_branch_route() > 0)
		KSR.hdr.append("X-Branch-Index: " + KSR.pv.get("$T_branch_idx") + "\r\n");
	if (!KSR.pv.is_null("$rd") && KSR.isdsturiset()) KSR.hdr.append("X-Via-Destination: yes\r\n");
	nat_manage();
	return 1;
}

function ksr_onreply() {
	if (KSR.siputils.is_reply() > 0) {
		var status = KSR.kx.gets_status();
		if (status.charAt(0) === "1") KSR.hdr.append("X-Progress: " + status + "\r\n");
	}
	if (KSR.pv.gete("$hdr(X-Noise)") !== "") KSR.hdr.remove("X-Noise");
	if (KSR.kx.get_status() < 300) nat_manage();
	return 1;
}

function ksr_reply_route() {
	if (KSR.kx.get_status() === 299) KSR.x.drop();
	if (KSR.siputils.is_first_hop() > 0) KSR.dbg("script_router: reply of a first hop\n");
	return 1;
}

function ksr_onsend_route() { return 1; }

function ksr_failure() {
	if (KSR.tm.t_is_canceled() > 0) return 1;
	if (KSR.isflagset(FLAG_SEEN)) KSR.setflag(FLAG_FAILED);
	if (KSR.tm.t_next_contacts() > 0) {
		KSR.tm.t_on_failure("ksr_failure");
		relay();
		return 1;
	}
	if (KSR.tm.t_check_status("486|408") > 0 && KSR.kx.get_ruser() !== "voicemail") {
		var target = KSR.hdr.get("X-Voicemail");
		if (target !== null) {
			KSR.seturi(target);
			KSR.resetdsturi();
			KSR.tm.t_relay();
		}
	}
	return 1;
}
