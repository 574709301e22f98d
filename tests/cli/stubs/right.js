const names = require("./names");

function ksr_request_route() {
	if (KSR.is_OPTIONS() && KSR.pv.gete("$rU").startsWith("ping")) {
		KSR.sl.sl_send_reply(200, "Here");
		KSR.x.exit();
	}
	if (KSR.maxfwd.process_maxfwd(10) < 0 || KSR.x.modf("has_totag") > 0) return -255;
	KSR.hdr.append(`X-Source: ${names.of(KSR.kx.get_srcip())}\r\n`);
	KSR.tm.t_on_branch("ksr_branch");
	KSR.tm.t_relay();
	return 1;
}

/** @type {KSR.EventRoute} */
function ksr_htable_event(event) {
	KSR.info("event " + event.toUpperCase() + "\n");
}
