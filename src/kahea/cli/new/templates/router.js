// A registrar and proxy: phones register here, and call one another by name.
//
// KSR has the functions of Kamailio's modules; `kahea functions` lists them. A function's answer is yes above 0, no
// below. Nobody is asked for a password: add that before this meets the Internet.

/** Every request starts here. */
function ksr_request_route() {
	if (KSR.maxfwd.process_maxfwd(10) < 0) return KSR.sl.sl_send_reply(483, "Too Many Hops");
	if (KSR.is_CANCEL()) return KSR.tm.t_check_trans() > 0 ? KSR.tm.t_relay() : 1;
	if (KSR.siputils.has_totag() > 0) return within_dialog();
	if (KSR.tm.t_check_trans() === 0) return 1; // sent again: the answer was, too
	if (!KSR.is_myself_ruri()) return KSR.sl.sl_send_reply(403, "Relaying Denied");
	if (KSR.is_REGISTER()) return KSR.registrar.save("location", 0);
	if (KSR.is_OPTIONS() && KSR.corex.has_ruri_user() < 0) return KSR.sl.sl_send_reply(200, "Here");
	return to_phone();
}

/** A request of a call that exists goes where the call went. */
function within_dialog() {
	if (KSR.rr.loose_route() > 0 || (KSR.is_ACK() && KSR.tm.t_check_trans() > 0)) return KSR.tm.t_relay();
	return KSR.is_ACK() ? 1 : KSR.sl.sl_send_reply(404, "Not Here");
}

/** A first request goes to where the called user has registered. */
function to_phone() {
	if (KSR.registrar.lookup("location") < 0) return KSR.sl.sl_send_reply(404, "Not Found");
	if (KSR.is_INVITE()) {
		KSR.rr.record_route();
		KSR.tm.t_on_failure("ksr_failure");
	}
	return KSR.tm.t_relay();
}

/** All phones of the called user refused, or none answered: here a call may go elsewhere. */
function ksr_failure() {
	if (KSR.tm.t_is_canceled() < 0) KSR.info(`nobody answered at ${KSR.pv.getw("$ru")}\n`);
	return 1;
}
