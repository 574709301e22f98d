"""What module `acc` can be told, under Kamailio's names."""

from __future__ import annotations

from kahea.routing.checks import NO_FLAG, between, flag, unless
from kahea.routing.facilities import facility
from kahea.routing.module import Module, Param


def _filter(value: str) -> frozenset[int]:
    """`404,407` as numbers."""
    found = set()
    for part in filter(None, (p.strip() for p in value.split(","))):
        if not part.isdigit() or not 300 <= int(part) <= 999:
            raise ValueError(f"{part!r} is no failure code: 300 to 999")
        found.add(int(part))
    return frozenset(found)


class Parameters(Module):
    """The parameters alone; `acc` has what they do."""

    # What is accounted.
    log_flag = Param(NO_FLAG, "The flag of transactions that are accounted in the log.", check=flag)
    log_missed_flag = Param(NO_FLAG, "The flag of INVITEs whose failure is accounted in the log.", check=flag)
    db_flag = Param(NO_FLAG, "The flag of transactions that are accounted in the database.", check=flag)
    db_missed_flag = Param(NO_FLAG, "The flag of INVITEs whose failure is accounted in the database.", check=flag)
    failed_transaction_flag = Param(NO_FLAG, "The flag of transactions accounted even if they fail.", check=flag)
    failed_filter: Param[frozenset[int]] = Param(
        frozenset(), "Failures that are not accounted all the same: `404,407`.", check=_filter
    )
    acc_prepare_flag = Param(NO_FLAG, "The flag of transactions that a later route may want accounted.", check=flag)
    acc_prepare_always = Param(0, "Take every transaction as one that a later route may want accounted.")
    early_media = Param(0, "Account provisional replies with a body, too.")
    report_ack = Param(0, "Account the ACKs to 2xx replies, too.")
    report_cancels = Param(0, "Account CANCELs, too.")
    detect_direction = Param(
        0, "Swap the tags of requests inside a dialog that come from the callee, so that `from_tag` is the caller's."
    )
    reason_from_hf = Param(0, "Take the reason from the reply's Reason header, if it has one.")

    # The log.
    log_level = Param(1, "The level of lines in the log, as in `debug`.")
    log_facility = Param("LOG_DAEMON", "The syslog facility of lines, as the log record's attribute.", check=facility)
    log_extra = Param("", "What is logged beside: `name=$variable;...`.")

    # The database.
    db_url = Param("", "The database; without one nothing is written to any.")
    db_table_acc = Param("acc", "The table of transactions; may have variables.")
    db_table_missed_calls = Param("missed_calls", "The table of missed calls; may have variables.")
    db_extra = Param("", "What is written beside: `column=$variable;...`.")
    db_insert_mode = Param(0, "No effect: rows that wait together are written in one commit, and nobody waits for it.")
    db_version_check = Param(1, "Check the versions of the tables.")
    acc_extra_nullable = Param(0, "Write NULL for a variable of `db_extra` without value, not an empty text.")
    acc_method_column = Param("method", "Column of the method.")
    acc_from_tag_column = Param("from_tag", "Column of the From tag.")
    acc_to_tag_column = Param("to_tag", "Column of the To tag.")
    acc_callid_column = Param("callid", "Column of the Call-ID.")
    acc_sip_code_column = Param("sip_code", "Column of the status code, a text.")
    acc_sip_reason_column = Param("sip_reason", "Column of the reason phrase.")
    acc_time_column = Param("time", "Column of the time.")

    # Both.
    multi_leg_info = Param("", "The AVPs of a call's legs: `name=$avp(...);...`.")
    time_mode = Param(
        0, "What more of the time: 1 seconds and microseconds, 2 seconds with milliseconds, 3 formatted local time, "
        "4 formatted UTC.", check=between(0, 4),
    )  # fmt: skip
    time_attr = Param("time_attr", "Its name in the log and the database.")
    time_exten = Param("time_exten", "The name of the microseconds.")
    time_format = Param("%Y-%m-%d %H:%M:%S", "The format of time_mode 3 and 4, as strftime's.")

    # Kamailio's memory.
    acc_extra_size = Param(64, "No effect: there may be any number of extra values.")
    cdr_extra_size = Param(64, "No effect: there may be any number of extra values.")
    clone_msg = Param(1, "No effect: the transaction's request is not shared with other processes.")

    # Call data records.
    cdr_enable = Param(0, "", check=unless(0, "call data records need the module dialog"))
    cdr_skip = Param("", "Used with cdr_enable only.")
    cdr_expired_dlg_enable = Param(0, "Used with cdr_enable only.")
    cdr_start_on_confirmed = Param(0, "Used with cdr_enable only.")
    cdr_facility = Param("LOG_DAEMON", "Used with cdr_enable only.", check=facility)
    cdr_extra = Param("", "Used with cdr_enable only.")
    cdr_extra_nullable = Param(0, "Used with cdr_enable only.")
    cdr_start_id = Param("start_time", "Used with cdr_enable only.")
    cdr_end_id = Param("end_time", "Used with cdr_enable only.")
    cdr_duration_id = Param("duration", "Used with cdr_enable only.")
    cdr_duration_mode = Param(1, "Used with cdr_enable only.")
    cdr_log_enable = Param(1, "Used with cdr_enable only.")
    cdr_on_failed = Param(1, "Used with cdr_enable only.")
    cdrs_table = Param("", "Used with cdr_enable only.")
