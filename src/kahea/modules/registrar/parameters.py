"""The parameters of module registrar, under Kamailio's names."""

from __future__ import annotations

from typing import ClassVar

from kahea.routing.checks import between
from kahea.routing.module import Module, Param

_ON_OFF = between(0, 1)
_SECONDS = between(0, 2**31 - 1)
_PERCENT = between(0, 100)


class RegistrarParameters(Module):
    """The registrar (RFC 3261 §10)."""

    name = "registrar"
    events: ClassVar = {"usrloc:contact-expired": "A contact has ended, by its time or because it did not answer."}

    default_expires = Param(3600, "Seconds for contacts that ask for none.", check=_SECONDS, runtime=True)
    default_expires_range = Param(0, "Percent of those, at random, taken off.", check=_PERCENT, runtime=True)
    expires_range = Param(0, "Percent, at random, taken off the seconds asked for.", check=_PERCENT, runtime=True)
    min_expires = Param(60, "The fewest seconds; 0: any.", check=_SECONDS, runtime=True)
    min_expires_mode = Param(0, "Fewer are 0: raised; 1: refused with 423.", check=_ON_OFF)
    max_expires = Param(0, "The most seconds; 0: any.", check=_SECONDS, runtime=True)
    default_q = Param(
        -1, "q in thousandths of contacts that have none; -1: none.", check=between(-1, 1000), runtime=True
    )
    realm_prefix = Param("", "Taken off the front of domains, with use_domain.", runtime="realm_pref")
    append_branches = Param(1, "lookup() makes branches of the contacts after the first.", check=_ON_OFF, runtime=True)
    case_sensitive = Param(0, "The case of user names matters.", check=_ON_OFF, runtime=True)
    received_avp = Param("", "Variable with the URI that a REGISTER came from.")
    received_param = Param("received", "Contact parameter that tells of it in answers; empty: none.")
    max_contacts = Param(0, "The most contacts of an AOR; 0: any.", check=_SECONDS, runtime=True)
    retry_after = Param(0, "Seconds in the Retry-After of 5xx answers; 0: none.", check=_SECONDS, runtime=True)
    sock_flag = Param(-1, "Message flag: take the listener from a header.", check=between(-1, 31))
    sock_hdr_name = Param("", "That header.")
    sock_mode = Param(0, "Keep listeners 0: as bound; 1: as advertised.", check=_ON_OFF)
    method_filtering = Param(0, "lookup() leaves out contacts that don't allow the method.", check=_ON_OFF)
    use_path = Param(0, "Keep Path headers (RFC 3327).", check=_ON_OFF)
    path_mode = Param(2, "Answer with the Path 0: never; 1: if it is supported; 2: so, else 420.", check=between(0, 2))
    path_use_received = Param(0, "Take the first Path's `received` as where it came from.", check=_ON_OFF)
    path_check_local = Param(0, "lookup() skips a first hop of the path that is this server.", check=_ON_OFF)
    xavp_cfg = Param("", "XAVP with which a script overrides parameters for one message.")
    xavp_rcd = Param("", "XAVP that tells a script of contacts saved or found.")
    xavp_rcd_mask = Param(0, "Leaves out 1 ruid, 2 contact, 4 expires, 8 received, 16 path.", check=between(0, 31))
    gruu_enabled = Param(1, "Answer with GRUUs (RFC 5627).", check=_ON_OFF)
    outbound_mode = Param(0, "Outbound (RFC 5626) 0: off; 1: if supported; 2: demanded.", check=between(0, 2))
    regid_mode = Param(
        0,
        "1: take reg-ids from clients without outbound too. Contacts with an instance keep theirs always, "
        "as in Kamailio 5.6, so that both values do the same.",
        check=_ON_OFF,
    )
    flow_timer = Param(0, "Seconds of the Flow-Timer in answers; 0: none.", check=_SECONDS)
    contact_max_size = Param(512, "The longest contact URI, in octets.", check=between(1, 65535))
    event_callback = Param("", "Script function to call when a contact has expired.")
    lookup_filter_mode = Param(
        0, "lookup() leaves out contacts 1: without the flags of rlf_bflags; 2: whose connection is gone.",
        check=between(0, 3),
    )  # fmt: skip
    use_expired_contacts = Param(0, "lookup() finds contacts that have expired too.", check=_ON_OFF, runtime=True)
