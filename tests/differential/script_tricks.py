# mypy: ignore-errors
# ruff: noqa: UP031
"""A KEMI script that does what the messages tell it: each flow spells out its routing in X-* headers.

X-Do stands in requests and is obeyed in the request route, in order. X-Branch, X-Fail and X-BFail, also in
requests, are obeyed in the branch, failure and branch-failure routes; X-Fail-N in the N-th failure route of
the transaction. X-Reply and X-Core stand in replies and are obeyed in the onreply route of the
transaction and in the reply route of the server.
"""

import KSR as KSR


def mod_init():
    return Tricks()


def words(name):
    """Values of every header of that name in the current message."""
    found = []
    while len(found) < 32:
        value = KSR.pv.get("$(hdr(%s)[%d])" % (name, len(found)))
        if value is None:
            return found
        found.append(value)
    return found


def set_vars(text):
    name, _, value = text.partition("=")
    return KSR.pv.sets(name, value)


def code_and_reason(text):
    code, _, reason = text.partition(" ")
    return int(code), reason or "Because"


def note(text):
    """Show a value to the far end."""
    name, _, variable = text.partition("=")
    return KSR.hdr.append("%s: %s\r\n" % (name, KSR.pv.get(variable)))


def tell(text):
    """Answer with the value of a variable as the reason."""
    code, variable = code_and_reason(text)
    return KSR.sl.sl_send_reply(code, str(KSR.pv.get(variable)))


def suspend(name):
    got = KSR.tmx.t_suspend()
    KSR.pv.seti("$shv(index_%s)" % name, KSR.pv.get("$T(id_index)"))
    KSR.pv.seti("$shv(label_%s)" % name, KSR.pv.get("$T(id_label)"))
    return got


def resume(name):
    return KSR.tmx.t_continue(KSR.pv.get("$shv(index_%s)" % name), KSR.pv.get("$shv(label_%s)" % name), "ksr_resumed")


def fr_timers(text):
    first, second = text.split()
    return KSR.tm.t_set_fr(int(first), int(second))


def where(text):
    """Show which kind of route tmx thinks this is, and what siputils thinks of the message."""
    kinds = {
        "request": KSR.tmx.t_is_request_route(),
        "failure": KSR.tmx.t_is_failure_route(),
        "branch": KSR.tmx.t_is_branch_route(),
        "reply": KSR.tmx.t_is_reply_route(),
        "is-request": KSR.siputils.is_request(),
        "is-reply": KSR.siputils.is_reply(),
    }
    shown = " ".join(kind for kind, value in kinds.items() if value > 0)
    return KSR.hdr.append("X-Where-%s: %s\r\n" % (text, shown))


def mark(bits):
    """Set flags of the transaction, the script and the branch."""
    for variable in ("$mf", "$sf", "$bf"):
        KSR.pv.seti(variable, KSR.pv.get(variable) | int(bits))


def flags(name):
    """Show them."""
    shown = " ".join(str(KSR.pv.get(variable)) for variable in ("$mf", "$sf", "$bf"))
    return KSR.hdr.append("X-Flags-%s: %s\r\n" % (name, shown))


def cancel_callid(text):
    callid, cseq, flag = text.split()
    return KSR.tmx.t_cancel_callid(callid, cseq, int(flag))


def reply_callid(text):
    callid, cseq, code, reason = text.split()
    return KSR.tmx.t_reply_callid(callid, cseq, int(code), reason)


def retransmission(text):
    first, second = text.split()
    return KSR.tm.t_set_retr(int(first), int(second))


VERBS = {
    "append": lambda a: KSR.corex.append_branch_uri(a),
    "append_q": lambda a: KSR.corex.append_branch_uri_q(*a.split()),
    "append_self": lambda a: KSR.corex.append_branch(),
    "ruri": lambda a: KSR.seturi(a),
    "user": lambda a: KSR.setuser(a),
    "host": lambda a: KSR.sethost(a),
    "duri": lambda a: KSR.setdsturi(a),
    "noduri": lambda a: KSR.resetdsturi(),
    "set": set_vars,
    "note": note,
    "tell": tell,
    "header": lambda a: KSR.hdr.append(a + "\r\n"),
    "insert": lambda a: KSR.hdr.insert(a + "\r\n"),
    "remove": lambda a: KSR.hdr.remove(a),
    "to_reply": lambda a: KSR.hdr.append_to_reply(a + "\r\n"),
    "body": lambda a: KSR.textops.set_body(a, "text/plain"),
    "rr": lambda a: KSR.rr.record_route(),
    "rr_params": lambda a: KSR.rr.record_route_params(a),
    "rr_adv": lambda a: KSR.rr.record_route_advertised_address(a),
    "rr_preset": lambda a: KSR.rr.record_route_preset_one(a),
    "rr_param": lambda a: KSR.rr.add_rr_param(a),
    "loose": lambda a: KSR.rr.loose_route(),
    "maxfwd": lambda a: KSR.maxfwd.process_maxfwd(int(a)),
    "rport": lambda a: KSR.force_rport(),
    "add_rport": lambda a: KSR.add_local_rport(),
    "sock": lambda a: KSR.corex.set_send_socket(a),
    "adv_address": lambda a: KSR.set_advertised_address(a),
    "adv_port": lambda a: KSR.set_advertised_port(a),
    "branch": lambda a: KSR.tm.t_on_branch("ksr_branch"),
    "reply": lambda a: KSR.tm.t_on_reply("ksr_onreply"),
    "failure": lambda a: KSR.tm.t_on_failure("ksr_failure"),
    "bfailure": lambda a: KSR.tm.t_on_branch_failure("ksr_branch_failure"),
    "fr": fr_timers,
    "fr_inv": lambda a: KSR.tm.t_set_fr_inv(int(a)),
    "reset_fr": lambda a: KSR.tm.t_reset_fr(),
    "retr": retransmission,
    "no_100": lambda a: KSR.tm.t_set_auto_inv_100(0),
    "no_6xx": lambda a: KSR.tm.t_set_disable_6xx(1),
    "no_internal": lambda a: KSR.tm.t_set_disable_internal_reply(1),
    "lifetime": lambda a: KSR.tm.t_set_max_lifetime(int(a), int(a)),
    "newtran": lambda a: KSR.tm.t_newtran(),
    "release": lambda a: KSR.tm.t_release(),
    "tm_reply": lambda a: KSR.tm.t_reply(*code_and_reason(a)),
    "tm_send": lambda a: KSR.tm.t_send_reply(*code_and_reason(a)),
    "sl_reply": lambda a: KSR.sl.sl_send_reply(*code_and_reason(a)),
    "send_reply": lambda a: KSR.sl.send_reply(*code_and_reason(a)),
    "sl_error": lambda a: KSR.sl.sl_reply_error(),
    "relay": lambda a: KSR.tm.t_relay(),
    "relay_flags": lambda a: KSR.tm.t_relay_to_flags(int(a)),
    "relay_proto": lambda a: KSR.tm.t_relay_to_proto(a),
    "relay_proxy": lambda a: KSR.tm.t_relay_to_proxy(a),
    "replicate": lambda a: KSR.tm.t_replicate(a),
    "forward": lambda a: KSR.forward(),
    "forward_uri": lambda a: KSR.forward_uri(a),
    "load_contacts": lambda a: KSR.tm.t_load_contacts(),
    "next_contacts": lambda a: KSR.tm.t_next_contacts(),
    "check_trans": lambda a: KSR.tm.t_check_trans(),
    "lookup_cancel": lambda a: KSR.tm.t_lookup_cancel(),
    "suspend": suspend,
    "resume": resume,
    "cancel_branches": lambda a: KSR.tmx.t_cancel_branches(a),
    "drop_replies": lambda a: KSR.tm.t_drop_replies(a or "a"),
    "drop": lambda a: KSR.set_drop(),
    "lookup": lambda a: KSR.registrar.lookup("location"),
    "save": lambda a: KSR.registrar.save("location", int(a or 0)),
    "reuse_branch": lambda a: KSR.tmx.t_reuse_branch(),
    "cancel_callid": cancel_callid,
    "reply_callid": reply_callid,
    "where": where,
    "mark": mark,
    "flags": flags,
    "sanity": lambda a: KSR.sanity.sanity_check(int(a.split()[0]), int(a.split()[1])),
    "options": lambda a: KSR.siputils.options_reply(),
}  # fmt: skip


def obey(values):
    """Run each verb; `?` before one shows its return code to the far end in an X-Got header, `!` ends there
    if it failed, `if STATUS` ends unless the reply has that status, `canceled` ends if the call was."""
    for value in values:
        verb, _, argument = value.partition(" ")
        if verb == "if":
            if KSR.tm.t_check_status(argument) < 0:
                return
            continue
        if verb == "canceled":
            if KSR.tm.t_is_canceled() > 0:
                return
            continue
        mark = verb[0] if verb[0] in "?!" else ""
        got = VERBS[verb.lstrip("?!")](argument)
        if mark == "?":
            KSR.hdr.append("X-Got: %s %s\r\n" % (verb[1:], got))
        if mark == "!" and not (got is True or (got is not False and got is not None and got > 0)):
            KSR.sl.send_reply(500, "%s gave %s" % (verb[1:], got))
            return


class Tricks:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        if KSR.is_OPTIONS() and KSR.pv.get("$rU") == "barrier":
            KSR.sl.sl_send_reply(200, "Here")
            return 1
        todo = words("X-Do")
        if KSR.is_CANCEL():
            if KSR.tm.t_check_trans() > 0:
                KSR.tm.t_relay()
            return 1
        if not todo or todo[0] != "raw":
            if KSR.is_ACK() and KSR.siputils.has_totag() > 0 and KSR.rr.loose_route() > 0:
                KSR.tm.t_relay()
                return 1
            if not KSR.is_ACK() and KSR.tm.t_check_trans() == 0:
                return 1
        else:
            todo = todo[1:]
        if todo:
            obey(todo)
        elif KSR.siputils.has_totag() > 0:
            if KSR.rr.loose_route() > 0 or not KSR.is_myself_ruri():
                KSR.tm.t_relay()
            elif not KSR.is_ACK():
                KSR.sl.sl_send_reply(404, "Not here")
        elif KSR.is_ACK():
            if KSR.tm.t_check_trans() > 0:
                KSR.tm.t_relay()
        else:
            KSR.tm.t_relay()
        return 1

    def ksr_branch(self, msg):
        obey(words("X-Branch"))
        obey(words("X-Branch-%d" % KSR.tm.t_get_branch_index()))
        return 1

    def ksr_onreply(self, msg):
        obey(words("X-Reply"))
        return 1

    def ksr_reply_route(self, msg):
        obey(words("X-Core"))
        return 1

    def ksr_onsend_route(self, msg):
        return 1

    def ksr_failure(self, msg):
        turn = (KSR.pv.get("$avp(turn)") or 0) + 1
        KSR.pv.seti("$avp(turn)", turn)
        obey(words("X-Fail"))
        obey(words("X-Fail-%d" % turn))
        return 1

    def ksr_branch_failure(self, msg):
        obey(words("X-BFail"))
        return 1

    def ksr_resumed(self, msg):
        obey(words("X-Resume"))
        return 1
