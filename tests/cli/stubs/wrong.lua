function ksr_request_route()
	KSR.tm.t_rely() -- wrong: a function is misspelt
	KSR.sl.sl_send_reply("200", "OK") -- wrong: text for a number
	KSR.seturi({}) -- wrong: a table for text
	KSR.maxfwd.process_maxfwd() -- wrong: an argument is missing
	KSR.tn.t_relay() -- wrong: a module is misspelt
end
