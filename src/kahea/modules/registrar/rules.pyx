# cython: language_level=3
"""What the registrar's parameters say of save(), as C data, since every REGISTER asks for most of it."""

cimport cython

from kahea.modules.registrar.answer cimport Answer
from kahea.routing.dispatch cimport Run

from kahea.modules.registrar.refusal import FINE


@cython.auto_pickle(False)
cdef class SaveRules:
    """The parameters, `read` anew when they have changed, and what save() needs of the modules beside."""

    def __init__(self, module):
        self.module = module
        self.node = module.node

    def start(self):
        self.usrloc = self.module.usrloc
        self.domains = self.usrloc.domains
        self.replies = self.node.module("sl").replies
        self.read()

    def read(self):
        module = self.module
        self.aors = module.aors
        self.received_param = module.received_param.encode("utf-8", "surrogateescape")
        self.received_variable = module.received_variable
        self.waits = self.usrloc.writes_through
        self.keeps_attributes = bool(self.usrloc.xavp_contact)
        self.server_id = self.usrloc.server_id
        self.sets = bool(module.xavp_cfg)
        self.records = bool(module.xavp_rcd)
        self.use_path = module.use_path
        self.path_use_received = module.path_use_received
        self.path_mode = module.path_mode
        self.gruu_enabled = module.gruu_enabled
        self.sock_mask = module.sock_mask
        self.default_q = module.default_q
        self.outbound_mode = module.outbound_mode
        self.flow_timer = module.flow_timer
        self.contact_max_size = module.contact_max_size
        self.default_expires = module.default_expires
        self.default_expires_range = module.default_expires_range
        self.expires_range = module.expires_range
        self.max_contacts = module.max_contacts
        self.max_expires = module.max_expires
        self.min_expires = module.min_expires
        self.min_expires_mode = module.min_expires_mode
        self.retry_after = module.retry_after

    def send_answer(self, Run run not None, Answer answer not None):
        return self.send(run, answer)

    cdef int send(self, Run run, Answer answer) except -2:
        answer.put(run.msg, self.retry_after)
        if answer.verdict is FINE:
            return 1 if self.replies.send(run, 200, b"OK") > 0 else -1
        return 1 if self.replies.send(run, answer.verdict.status, answer.verdict.reason.encode()) > 0 else -1
