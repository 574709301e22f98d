# cython: language_level=3
"""What the registrar's parameters say, as C data, since every REGISTER and every call asks for most of it."""

cimport cython

from kahea.modules.usrloc.domain cimport Domain


@cython.auto_pickle(False)
cdef class Rules:
    """The parameters of a registrar, `read` anew when they have changed, and its location tables."""

    def __init__(self, module):
        self.module = module
        self.node = module.node

    def start(self):
        self.usrloc = self.module.usrloc
        self.domains = self.usrloc.domains
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
        self.append_branches = module.append_branches
        self.filter_mode = module.lookup_filter_mode
        self.filters_methods = module.method_filtering
        self.path_check_local = module.path_check_local
        self.finds_expired = module.use_expired_contacts

    cdef Domain table(self, str name):
        """A location table by its name; None, and a line in the log, if there can be none. May wait."""
        found = self.domains.get(name)
        return self.usrloc.domain(name) if found is None else found

    cdef long long now(self) except -1:
        """Unix seconds."""
        return <long long>self.node._wall()
