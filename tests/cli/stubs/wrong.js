function ksr_request_route() {
	KSR.tm.t_rely(); // wrong: a function is misspelt
	KSR.sl.sl_send_reply("200", "OK"); // wrong: text for a number
	KSR.seturi(5); // wrong: a number for text
	KSR.maxfwd.process_maxfwd(); // wrong: an argument is missing
	KSR.tn.t_relay(); // wrong: a module is misspelt
}

/** @type {KSR.EventRoute} */
function ksr_htable_event(event) {
	KSR.info(event.upper()); // wrong: no method of a string
}
