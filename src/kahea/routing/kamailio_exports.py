"""Which of Kamailio's modules has which functions, variables and events, by name: data, so that what is missing here is
told from what never was."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

_FUNCTIONS: Final = """
    acc: acc_db_request acc_log_request acc_request
    acc_diameter: acc_diam_request
    acc_radius: acc_rad_request
    alias_db: alias_db_find alias_db_lookup
    app_jsdt: jsdt_dofile jsdt_dostring jsdt_run jsdt_runstring
    app_lua: bind_app_lua lua_dofile lua_dostring lua_run lua_runstring
    app_perl: perl_exec perl_exec_simple
    app_python: python_exec
    app_python3: python_exec
    app_python3s: app_python3s_exec
    app_ruby: ruby_run
    async: async_ms_route async_ms_sleep async_route async_sleep async_task_data async_task_group_data
        async_task_group_route async_task_route async_tkv_emit
    auth: auth_algorithm auth_challenge auth_get_www_authenticate consume_credentials has_credentials
        proxy_challenge pv_auth_check pv_proxy_authenticate pv_proxy_authorize pv_www_authenticate
        pv_www_authorize www_challenge
    auth_arnacon: arnacon_authenticate arnacon_user_exists
    auth_db: auth_check is_subscriber proxy_authenticate proxy_authorize www_authenticate www_authorize
    auth_diameter: diameter_is_user_in diameter_proxy_authorize diameter_www_authorize
    auth_ephemeral: autheph_authenticate autheph_check autheph_check_from autheph_check_timestamp
        autheph_check_to autheph_proxy autheph_www
    auth_radius: radius_proxy_authorize radius_www_authorize
    auth_web3: web3_proxy_authenticate web3_www_authenticate
    auth_xkeys: auth_xkeys_add auth_xkeys_check
    avp: append_attr_hf attr2uri attr_destination attr_equals attr_equals_xl attr_exists attr_to_reply del_attr
        del_attrs dump_attrs flags2attr hdr_body2attrs hdr_body2attrs2 insert_attr_hf print_attr replace_attr_hf
        set_attr set_iattr set_sattr subst_attr xlfix_attr xlset_attr xlset_destination
    avpops: avp_check avp_copy avp_db_delete avp_db_load avp_db_query avp_db_store avp_delete avp_op avp_print
        avp_pushto avp_subst avp_subst_pv is_avp_set
    benchmark: bm_log_timer bm_start_timer
    blst: blst_add blst_add_retry_after blst_clear_ignore blst_del blst_is_blocklisted blst_rpl_clear_ignore
        blst_rpl_set_ignore blst_set_ignore
    call_control: call_control
    call_obj: call_obj_free call_obj_get
    carrierroute: cr_next_domain cr_nofallback_route cr_route cr_user_carrier
    cdp: cdp_check_peer cdp_has_app
    cfgutils: abort check_route_exists core_hash is_gflag lock pkg_status pkg_summary rand_event rand_get_prob
        rand_reset_prob rand_set_prob reset_gflag route_if_exists set_gflag shm_status shm_summary sleep trylock
        unlock usleep
    cnxcc: cnxcc_get_channel_count cnxcc_set_max_channels cnxcc_set_max_credit cnxcc_set_max_time
        cnxcc_terminate_all cnxcc_update_max_time
    corex: add_tcp_alias append_branch file_read file_write forward_reply forward_uac forward_uac_uri
        is_faked_msg is_incoming is_socket_name isxflagset msg_iflag_is_set msg_iflag_reset msg_iflag_set
        msg_vbflag_is_set msg_vbflag_parse msg_vbflag_reset msg_vbflag_set resetxflag send_data send_tcp
        send_udp sendx set_recv_socket set_recv_socket_name set_send_socket set_send_socket_name
        set_source_address setxflag via_add_srvid via_add_xavp_params via_reply_add_xavp_params
        via_use_xavp_fields
    counters: cnt_add cnt_inc cnt_reset
    cplc: cpl_process_register cpl_process_register_norpl cpl_run_script
    crypto: crypto_aes_decrypt crypto_aes_encrypt crypto_hmac_sha256 crypto_netio_decrypt crypto_netio_encrypt
        crypto_netio_in crypto_netio_out
    db2_ops: db_close db_first db_foreach db_next db_proper db_query db_seek
    debugger: dbg_breakpoint dbg_pv_dump dbg_sip_msg
    dialog: dlg_bridge dlg_bye dlg_db_load_callid dlg_db_load_extra dlg_get dlg_get_var dlg_isflagset dlg_manage
        dlg_refer dlg_refer_cid dlg_refer_did dlg_remote_profile dlg_remove_dialogs_from_node dlg_req_within
        dlg_reset_property dlg_resetflag dlg_set_property dlg_set_ruri dlg_set_state dlg_set_timeout
        dlg_set_timeout_by_profile dlg_set_var dlg_setflag dlg_update_contact dlg_update_socket dlg_update_state
        get_profile_size is_in_profile is_known_dlg set_dlg_profile unset_dlg_profile
    dialplan: dp_match dp_reload dp_replace dp_translate
    dispatcher: ds_dsg_fetch ds_dsg_fetch_uri ds_is_active ds_is_from_list ds_list_exist ds_list_exists
        ds_load_unset ds_load_update ds_mark_addr ds_mark_dst ds_next_domain ds_next_dst ds_oc_set_attrs
        ds_reload ds_select ds_select_domain ds_select_dst ds_select_routes ds_set_domain ds_set_dst
    diversion: add_diversion
    dlgs: dlgs_count dlgs_init dlgs_tags_add dlgs_tags_count dlgs_tags_rm dlgs_update
    dmq: dmq_bcast_message dmq_handle_custom dmq_handle_message dmq_is_from_node dmq_process_custom
        dmq_process_message dmq_send_message dmq_t_replicate
    domain: is_domain_local is_from_local is_uri_host_local lookup_domain
    domainpolicy: dp_apply_policy dp_can_connect
    drouting: do_routing goes_to_gw is_from_gw next_routing use_next_gw
    enum: enum_pv_query enum_query i_enum_query is_from_user_enum
    erlang: erl_reg_send erl_reply erl_rpc erl_send
    evapi: evapi_async_multicast evapi_async_relay evapi_async_unicast evapi_close evapi_multicast evapi_relay
        evapi_set_tag evapi_unicast
    exec: exec_avp exec_cmd exec_dset exec_msg
    file_out: file_out
    gcrypt: bind_gcrypt gcrypt_aes_decrypt gcrypt_aes_encrypt gcrypt_hmac_sha256 gcrypt_hmac_sha512
    geoip: geoip_match
    geoip2: geoip2_distance geoip2_match
    group: get_user_group is_user_in
    h350: h350_auth_lookup h350_result_call_preferences h350_result_service_level h350_sipuri_lookup
    htable: bind_htable sht_dec sht_has_name sht_has_str_value sht_inc sht_is_null sht_iterator_end
        sht_iterator_next sht_iterator_rm sht_iterator_setex sht_iterator_seti sht_iterator_sets
        sht_iterator_start sht_lock sht_match_name sht_match_str_value sht_print sht_reset sht_rm sht_rm_name
        sht_rm_name_re sht_rm_value sht_rm_value_re sht_setxi sht_setxs sht_unlock
    http_async_client: http_async_query http_async_send http_async_send_xdata
    http_client: http_client_get http_client_query http_client_request http_client_request_v2pk
        http_client_response_headers_clear http_client_response_headers_set http_connect http_connect_raw
        http_get_redirect
    imc: imc_manager imc_room_active imc_room_member
    ims_auth: ims_auth_data_reset ims_auth_data_set ims_proxy_authenticate ims_proxy_challenge
        ims_www_authenticate ims_www_challenge ims_www_resync_auth
    ims_charging: Ro_CCR Ro_CCR_Stop Ro_set_session_id_avp
    ims_dialog: dlg_get dlg_isflagset dlg_resetflag dlg_setflag dlg_terminate get_profile_size is_in_profile
        is_known_dlg set_dlg_profile unset_dlg_profile
    ims_diameter_server: diameter_request diameter_request_async
    ims_icscf: I_perform_location_information_request I_perform_user_authorization_request I_scscf_drop
        I_scscf_select
    ims_ipsec_pcscf: ipsec_create ipsec_destroy ipsec_destroy_by_contact ipsec_forward
    ims_isc: isc_from_as isc_match_filter isc_match_filter_reg
    ims_ocs: ccr_result
    ims_qos: Rx_AAR Rx_AAR_Register
    ims_qos_npn: Rx_AAR Rx_AAR_Register Rx_STR
    ims_registrar_pcscf: pcscf_assert_called_identity pcscf_assert_identity pcscf_follows_service_routes
        pcscf_force_service_routes pcscf_is_registered pcscf_save pcscf_save_pending pcscf_unregister
        reginfo_handle_notify
    ims_registrar_scscf: add_sock_hdr assign_server_unreg can_publish_reg can_subscribe_to_reg impu_registered
        lookup lookup_path_to_contact publish_reg reg_fetch_contacts reg_free_contacts save subscribe_to_reg
        term_impu_has_contact term_impu_registered unregister
    influxdbc: influxdbc_division influxdbc_double influxdbc_long influxdbc_measure influxdbc_measureend
        influxdbc_push influxdbc_string influxdbc_sub influxdbc_subend
    ipops: compare_ips compare_pure_ips detailed_ip_type detailed_ipv4_type detailed_ipv6_type dns_int_match_ip
        dns_query dns_set_local_ttl dns_sys_match_ip ip_type is_in_subnet is_ip is_ip_rfc1918 is_ipv4 is_ipv6
        is_ipv6_reference is_pure_ip naptr_query ptr_query srv_query
    jansson: jansson_append jansson_array_size jansson_get jansson_get_field jansson_pv_get jansson_set
        jansson_xdecode jansson_xencode
    janssonrpcc: janssonrpc_notification janssonrpc_request jsansonrpc_request
    json: bind_json json_get_field json_get_string
    jsonrpcc: jsonrpc_notification jsonrpc_request
    jsonrpcs: jsonrpc_dispatch jsonrpc_exec
    jwt: jwt_generate jwt_verify jwt_verify_key
    jwt3: jwt3_generate jwt3_verify jwt3_verify_key
    kafka: kafka_send kafka_send_key
    kazoo: kazoo_async_query kazoo_encode kazoo_json kazoo_json_keys kazoo_pua_publish
        kazoo_pua_publish_dialoginfo kazoo_pua_publish_mwi kazoo_pua_publish_presence kazoo_publish kazoo_query
        kazoo_query_async kazoo_subscribe
    keepalive: ka_add_destination ka_del_destination ka_is_alive
    kex: avp_printf is_myhost is_myself isbflagset isdsturiset issflagset pv_printf resetbflag resetdebug
        resetdsturi resetsflag setbflag setdebug setdsturi setsflag
    lcr: defunct_gw from_any_gw from_gw inactivate_gw load_gws next_gw to_any_gw to_gw
    ldap: ldap_filter_url_encode ldap_result ldap_result_check ldap_result_next ldap_search
    log_custom: log_udp
    log_systemd: sd_journal_print sd_journal_send_xavp
    lost: lost_held_dereference lost_held_query lost_query
    lrkproxy: lrkproxy_manage set_lrkproxy_set
    lwsc: lwsc_notify lwsc_notify_proto lwsc_request lwsc_request_proto
    mangler: decode_contact decode_contact_header encode_contact sdp_mangle_ip sdp_mangle_port
    math: math_log10 math_log2 math_logN math_pow math_sqrt
    matrix: matrix
    maxfwd: is_maxfwd_lt maxfwd_at_least maxfwd_process mf_lowlimit mf_process_maxfwd_header process_maxfwd
    mediaproxy: end_media_session engage_media_proxy use_media_proxy
    microhttpd: mhttpd_reply
    misc_radius: radius_does_uri_exist radius_does_uri_user_exist radius_is_user_in radius_load_callee_avps
        radius_load_caller_avps
    misctest: mt_lock_test mt_lock_threads mt_mem_alloc mt_mem_free mt_tcp_thread_exec mt_unlock_threads
    mohqueue: mohq_count mohq_process mohq_retrieve mohq_send
    mqtt: mqtt_publish mqtt_subscribe mqtt_unsubscribe
    mqueue: bind_mq mq_add mq_fetch mq_pv_free mq_size
    msilo: bind_msilo m_dump m_store m_store_addrs
    msrp: msrp_cmap_lookup msrp_cmap_save msrp_forward msrp_is_reply msrp_is_request msrp_relay msrp_relay_flags
        msrp_reply msrp_reply_flags msrp_set_dst
    mtree: mt_match
    nat_traversal: client_nat_test fix_contact nat_keepalive
    nathelper: add_contact_alias add_rcv_param fix_nated_contact fix_nated_register fix_nated_sdp
        handle_ruri_alias is_rfc1918 nat_uac_test set_alias_to_pv set_contact_alias
    nats: nats_publish
    ndb_cassandra: cass_insert cass_retrieve
    ndb_mongodb: mongodb_cmd mongodb_cmd_simple mongodb_find mongodb_find_one mongodb_free mongodb_next
    ndb_redis: redis_cmd redis_execute redis_free redis_pipe_cmd
    nghttp2: nghttp2_reply nghttp2_reply_header
    outbound: check_flow_token
    path: add_path add_path_advertised_address add_path_received add_path_received_advertised_address
    pdb: pdb_query
    pdt: pd_translate prefix2domain
    peering: verify_destination verify_source
    permissions: allow_address allow_address_group allow_register allow_register_include_port allow_routing
        allow_source_address allow_source_address_group allow_trusted allow_uri
    phonenum: phonenum_match phonenum_match_cn
    pike: pike_check_ip pike_check_req
    pipelimit: pl_active pl_check pl_drop
    posops: pos_append pos_body_end pos_body_start pos_find_str pos_findi_str pos_headers_end pos_headers_start
        pos_insert pos_rfind_str pos_rfindi_str pos_rm pos_rsearch pos_search pos_set_char
    prefix_route: prefix_route
    presence: handle_publish handle_subscribe pres_auth_status pres_has_subscribers pres_refresh_watchers
        pres_update_watchers
    presence_xml: pres_check_activities pres_check_basic
    pua: pua_update_contact
    pua_bla: bla_handle_notify bla_set_flag
    pua_json: pua_json_publish
    pua_reginfo: reginfo_disable_publish reginfo_handle_notify reginfo_subscribe
    pua_usrloc: pua_set_publish
    pua_xmpp: pua_xmpp_notify pua_xmpp_req_winfo
    pv: is_int not_empty pv_evalx pv_isset pv_unset pv_var_to_xavp pv_xavi_print pv_xavp_print pv_xavp_to_var
        pv_xavu_print sbranch_append sbranch_reset sbranch_set_ruri typeof xavi_child_rm xavi_child_seti
        xavi_child_sets xavi_rm xavi_rm_all xavp_child_rm xavp_child_seti xavp_child_sets xavp_copy xavp_lshift
        xavp_params_explode xavp_params_implode xavp_params_implode_qval xavp_push_dst xavp_rm xavp_rm_all
        xavp_slist_explode xavp_xparams_explode xavu_params_explode xavu_params_implode
    pv_headers: pvh_append_header pvh_apply_headers pvh_check_header pvh_collect_headers pvh_header_param_exists
        pvh_modify_header pvh_remove_all_headers pvh_remove_header pvh_remove_header_param pvh_reset_headers
    pvtpl: pvtpl_render
    rabbitmq: rabbitmq_publish rabbitmq_publish_consume
    ratelimit: rl_check rl_check_pipe
    regex: pcre_match pcre_match_group
    registrar: add_sock_hdr lookup lookup_branches lookup_to_dset lookup_xavp reg_fetch_contacts
        reg_free_contacts reg_from_user reg_send_reply registered save unregister
    rls: rls_handle_notify rls_handle_subscribe rls_update_subs
    rr: add_rr_param check_route_param is_direction loose_route loose_route_mode loose_route_preloaded
        record_route record_route_advertised_address record_route_preset remove_record_route rr_next_hop_route
    rtjson: rtjson_init_routes rtjson_next_route rtjson_push_routes rtjson_update_branch
    rtp_media_server: rms_answer rms_bridge rms_dialog_check rms_dialogs_dump rms_hangup rms_play
        rms_sip_request
    rtpengine: block_dtmf block_media play_dtmf play_media rtpengine_answer rtpengine_connect rtpengine_delete
        rtpengine_destroy rtpengine_info rtpengine_manage rtpengine_offer rtpengine_query rtpengine_query_v
        rtpengine_subscribe_answer rtpengine_subscribe_request rtpengine_unsubscribe set_rtpengine_set
        silence_media start_forwarding start_recording stop_forwarding stop_media stop_recording unblock_dtmf
        unblock_media unsilence_media
    rtpproxy: rtpproxy_answer rtpproxy_destroy rtpproxy_manage rtpproxy_offer rtpproxy_stop_stream2uac
        rtpproxy_stop_stream2uas rtpproxy_stream2uac rtpproxy_stream2uas set_rtp_proxy_set start_recording
        unforce_rtp_proxy
    ruxc: ruxc_http_delete ruxc_http_get ruxc_http_post
    sanity: sanity_check sanity_reply
    sca: sca_call_info_update sca_handle_subscribe
    sdpops: sdp_content sdp_get sdp_get_address_family sdp_get_line_startswith sdp_iterator_append
        sdp_iterator_end sdp_iterator_insert sdp_iterator_next sdp_iterator_rm sdp_iterator_start
        sdp_keep_codecs_by_id sdp_keep_codecs_by_name sdp_print sdp_remove_codecs_by_id
        sdp_remove_codecs_by_name sdp_remove_line_by_prefix sdp_remove_media sdp_remove_transport sdp_transport
        sdp_with_active_media sdp_with_codecs_by_id sdp_with_codecs_by_name sdp_with_ice sdp_with_media
        sdp_with_transport sdp_with_transport_like
    seas: as_relay_sl as_relay_t
    secfilter: secf_check_contact_hdr secf_check_country secf_check_domain_contact_hdr
        secf_check_domain_from_hdr secf_check_domain_to_hdr secf_check_dst secf_check_from_hdr secf_check_ip
        secf_check_name_contact_hdr secf_check_name_from_hdr secf_check_name_to_hdr secf_check_sqli_all
        secf_check_sqli_hdr secf_check_to_hdr secf_check_ua secf_check_username_contact_hdr
        secf_check_username_from_hdr secf_check_username_to_hdr
    secsipid: secsipid_add_identity secsipid_build_identity secsipid_build_identity_prvkey secsipid_check
        secsipid_check_identity secsipid_check_identity_pubkey secsipid_get_url secsipid_sign
        secsipid_sign_prvkey secsipid_verify
    sipcapture: float2int report_capture sip_capture sip_capture_forward
    sipdump: sipdump_send
    sipjson: sj_serialize
    siprepo: sr_msg_async_pull sr_msg_check sr_msg_match sr_msg_pull sr_msg_push sr_msg_rm
    sipt: sipt_destination sipt_forwarding sipt_has_isup_body sipt_set_bci_1 sipt_set_calling
    siptrace: hlog sip_trace sip_trace_mode sip_trace_msg
    siputils: add_uri_param append_rpid_hf cmp_aor cmp_hdr_name cmp_uri contact_param_check contact_param_decode
        contact_param_decode_ruri contact_param_encode contact_param_encode_alias contact_param_rm
        decode_contact decode_contact_header encode_contact get_uri_param has_totag hdr_date_check is_alphanum
        is_alphanumex is_e164 is_first_hop is_gruu is_http is_numeric is_reply is_request is_rpid_user_e164
        is_sip is_supported is_tel_number is_uri is_uri_user_e164 is_user options_reply set_uri_host
        set_uri_user sip_p_charging_vector sip_parse_headers tel2sip tel2sip2 uri_param uri_param_any
        uri_param_rm
    sl: send_reply send_reply_error send_reply_mode sl_forward_reply sl_reply sl_reply_error sl_send_reply
    slack: slack_send
    sms: sms_send_msg sms_send_msg_to_net
    smsops: isRPDATA smsdump
    speeddial: sd_lookup
    sqlops: sql_pvquery sql_query sql_query_async sql_result_free sql_xquery
    ss7ops: isup_to_json
    sst: sstCheckMin
    statistics: reset_stat update_stat
    statsc: statsc_reset
    statsd: statsd_decr statsd_gauge statsd_histogram statsd_incr statsd_set statsd_start statsd_stop
    stirshaken: stirshaken_add_identity stirshaken_add_identity_with_key stirshaken_check_identity
        stirshaken_check_identity_with_cert stirshaken_check_identity_with_key
    sworker: sworker_active sworker_task
    tcpops: tcp_close_connection tcp_con_alive tcp_conid_alive tcp_conid_state tcp_enable_closed_event
        tcp_get_conid tcp_keepalive_disable tcp_keepalive_enable tcp_set_connection_lifetime tcp_set_otcpid
        tcp_set_otcpid_flag
    textops: append_body_part append_body_part_hex append_hf append_time append_time_to_request append_to_reply
        append_urihf cmp_istr cmp_str ends_with filter_body get_body_part get_body_part_raw has_body in_list
        in_list_prefix insert_hf is_audio_on_hold is_method is_present_hf is_present_hf_pv is_present_hf_re
        is_present_hf_re_pv is_privacy regex_substring remove_body_part remove_hf remove_hf_exp remove_hf_exp_pv
        remove_hf_idx remove_hf_match remove_hf_pv remove_hf_re remove_hf_re_pv replace replace_all replace_body
        replace_body_all replace_body_atonce replace_body_str replace_hdrs replace_hdrs_str replace_str search
        search_append search_append_body search_body search_hf search_str set_body set_body_hex
        set_body_multipart set_reply_body set_reply_body_hex starts_with str_all_in str_any_in str_find
        str_ifind subst subst_body subst_hf subst_uri subst_user subst_v via_param_rm
    textopsx: append_hf_value assign_hf_value assign_hf_value2 bind_textopsx bl_iterator_append bl_iterator_end
        bl_iterator_insert bl_iterator_next bl_iterator_rm bl_iterator_start change_reply_status
        change_reply_status_code exclude_hf_value fnmatch hf_iterator_append hf_iterator_end hf_iterator_insert
        hf_iterator_next hf_iterator_prev hf_iterator_rm hf_iterator_start hf_value_exists include_hf_value
        insert_hf_value keep_hf msg_apply_changes msg_changed_route msg_set_buffer remove_body remove_hf_value
        remove_hf_value2
    timer: timer_enable
    tls: is_peer_verified tls_set_connect_server_id
    tls_wolfssl: is_peer_verified tls_set_connect_server_id
    tm: t_any_replied t_any_timeout t_branch_replied t_branch_timeout t_cell_append_branches t_check_status
        t_check_trans t_clean t_disable_e2e_cancel_reason t_drop_replies t_exists t_forward_nonack
        t_forward_nonack_sctp t_forward_nonack_tcp t_forward_nonack_tls t_forward_nonack_to t_forward_nonack_udp
        t_forward_nonack_uri t_get_status_code t_grep_status t_is_canceled t_is_expired t_is_retr_async_reply
        t_is_set t_load_contacts t_lookup_cancel t_lookup_request t_msg_apply_changes t_newtran
        t_next_contact_flow t_next_contacts t_on_branch t_on_branch_failure t_on_failure t_on_reply t_relay
        t_relay_cancel t_relay_to t_relay_to_avp t_relay_to_proxy t_relay_to_sctp t_relay_to_tcp t_relay_to_tls
        t_relay_to_udp t_release t_replicate t_replicate_sctp t_replicate_tcp t_replicate_tls t_replicate_to
        t_replicate_udp t_reply t_reply_error t_reset_fr t_reset_max_lifetime t_reset_retr t_retransmit_reply
        t_save_lumps t_send_reply t_set_auto_inv_100 t_set_disable_6xx t_set_disable_failover
        t_set_disable_internal_reply t_set_fr t_set_max_lifetime t_set_no_auto_ack t_set_no_e2e_cancel_reason
        t_set_retr t_uac_send t_use_uac_headers t_write_req t_write_unix
    tmrec: is_leap_year time_period_match tmrec_match
    tmx: bind_tmx t_cancel_branch_idx t_cancel_branches t_cancel_callid t_continue t_drop t_flush_flags
        t_flush_xflags t_is_branch_route t_is_failure_route t_is_reply_route t_is_request_route t_precheck_trans
        t_reply_callid t_reuse_branch t_suspend t_uac_ack_local t_vbflag_is_set t_vbflag_reset t_vbflag_set
    topos: tps_set_context
    tsilo: ts_append ts_append_branches ts_append_by_contact ts_append_to ts_store
    uac: uac_auth uac_auth_mode uac_reg_disable uac_reg_enable uac_reg_lookup uac_reg_lookup_uri uac_reg_refresh
        uac_reg_request_to uac_reg_send_register uac_reg_send_unregister uac_reg_status uac_replace_from
        uac_replace_to uac_req_send uac_restore_from uac_restore_to
    uac_redirect: get_redirects set_accept_filter set_deny_filter
    uid_auth_db: proxy_authenticate proxy_authorize www_authenticate www_authorize
    uid_avp_db: load_attrs load_extra_attrs lock_extra_attrs remove_extra_attrs save_extra_attrs
        unlock_extra_attrs
    uid_domain: is_local lookup_domain
    uid_gflags: flush_ugflags is_ugflag reset_ugflag set_ugflag
    uid_uri_db: check_uri lookup_user
    uri_db: check_from check_to check_uri does_uri_exist
    userblocklist: check_allowlist check_blocklist check_user_allowlist check_user_blocklist
    utils: xcap_auth_status
    websocket: ws_close ws_connect ws_connect_url ws_handle_handshake ws_send
    xcap_server: xcaps_del xcaps_get xcaps_put
    xhttp: bind_xhttp xhttp_reply
    xhttp_pi: dispatch_xhttp_pi
    xhttp_prom: prom_check_uri prom_counter_inc prom_counter_reset prom_dispatch prom_gauge_inc prom_gauge_reset
        prom_gauge_set prom_histogram_observe
    xhttp_rpc: dispatch_xhttp_rpc
    xlog: xalert xbug xcrit xdbg xdbgl xerr xinfo xlog xlogl xlogm xnotice xwarn
    xmlrpc: dispatch_rpc xmlrpc_reply
    xmpp: xmpp_send_message
    xprint: xpdbg xplog
"""
_VARIABLES: Final = """
    async: async
    benchmark: BM_time_diff
    cfgutils: RANDOM
    cnxcc: cnxcc
    core: ? def defn defs defv env envn iuid null rc retcode
    corex: atkv cfg lsock
    dialog: DLG_count DLG_lifetime DLG_status dlg dlg_ctx dlg_var
    dispatcher: dsg dsv
    erlang: erl_atom erl_list erl_pid erl_ref erl_tuple erl_xbuff
    evapi: evapi
    evrexec: evr
    geoip: gip
    geoip2: gip2
    htable: sht shtcn shtcv shtdec shtex shtinc shtitkey shtitval shtrecord
    http_async_client: http_bs http_err http_hdr http_mb http_ml http_ok http_rb http_req http_req_id http_rr
        http_rs http_time http_xdata
    http_client: curlerror httprhdr
    ims_dialog: DLG_count DLG_lifetime DLG_status dlg dlg_ctx dlg_var
    ims_diameter_server: diameter_application diameter_command diameter_request diameter_response
    ims_registrar_pcscf: pcscf_asserted_identity pcscf_registration_contact
    ims_registrar_scscf: ulc
    ipops: HN dns naptrquery ptrquery srvquery
    jsonrpcs: jsonrpl
    jwt: jwt
    jwt3: jwt3
    kazoo: kzE kzR kzRK
    kex: sruid
    lwsc: lwsc
    memcached: mcdec mcinc mct mctex
    microhttpd: mhttpd
    mqtt: mqtt
    mqueue: mq_size mqk mqv
    msrp: msrp
    nat_traversal: keepalive.socket source_uri
    nathelper: rr_count rr_top_count
    nats: natsData
    ndb_mongodb: mongodb
    ndb_redis: redis redisd
    nghttp2: nghttp2
    nosip: nosip
    nsq: nsqE
    phonenum: phn
    posops: pos
    presence: notify_reply subs
    ptimer: ptimer
    pv: AU Au Bf Eb Ec Ei Ej Ek En Eq Er Es Et Ev K Mf RAi RAp RAu RAut Ras Ri Rn Rp Ru Rut Sf TF TS TV Tb Tf Ts
        _s aU aa ad adc adn ado adr adu af ai ar au avp bF bR bf br branch bs cT ccp ci cl cnt conid cs csb ct
        cts ctu dP dd di dic dip dir dp ds du duri err.class err.info err.level err.rcode err.rreason expires fU
        fUl fd fn from from.domain from.user fs fsn fsp ft fu ful hdr hdrc hfl hflc ksr location_ua mF mb mbu mf
        mi ml msg msgbuf mt mts nh oP oU oUl od op ou ouri pU pd pn pp pr prid proto pu rP rU rUl rb rcv rd re
        recv rm rmid rp rpl rr rs rsi rt ru ruid rul ruri ruri.domain ruri.user rv rz sF sas sbranch sel sf shv
        shvinc si sid siz snd sndfrom sndto sp src_ip stat su sut tU tUl td time timef tn to to.domain to.user
        true tt tts tu ua utime utimef var version via0 via1 viaZ vn vz xavi xavp xavu
    pv_headers: x_fU x_fd x_fn x_ft x_fu x_hdr x_rr x_rs x_tU x_td x_tn x_tt x_tu
    registrar: ulc
    rr: fti rdir route_uri tti
    rtimer: rtimer_worker
    rtpengine: rtpestat rtpstat
    rtpproxy: rtppstat rtpstat
    sdpops: sdp sdpitval
    secsipid: secsipid
    sipcapture: hep
    sipdump: sipdump
    sipt: sipt sipt_called_party_nai sipt_calling_party_nai sipt_cpc sipt_hop_counter sipt_presentation
        sipt_screening
    siptrace: siptrace
    siputils: pcv
    sl: ltt
    smsops: rpdata smsack smsbody tpdu
    sqlops: dbr sqlrows
    ss7ops: isup
    tcpops: tcp
    textopsx: blitval hfitbody hfitname
    tls: tls tls_cipher_bits tls_cipher_info tls_description tls_my_issuer tls_my_issuer_cn
        tls_my_issuer_country tls_my_issuer_locality tls_my_issuer_organization tls_my_issuer_state
        tls_my_issuer_unit tls_my_raw_cert tls_my_san_count tls_my_san_email tls_my_san_hostname tls_my_san_ip
        tls_my_san_uri tls_my_serial tls_my_subject tls_my_subject_cn tls_my_subject_country
        tls_my_subject_locality tls_my_subject_organization tls_my_subject_state tls_my_subject_uid
        tls_my_subject_unit tls_my_urlencoded_cert tls_my_version tls_peer_expired tls_peer_issuer
        tls_peer_issuer_cn tls_peer_issuer_country tls_peer_issuer_locality tls_peer_issuer_organization
        tls_peer_issuer_state tls_peer_issuer_unit tls_peer_notAfter tls_peer_notBefore tls_peer_raw_cert
        tls_peer_revoked tls_peer_san_count tls_peer_san_email tls_peer_san_hostname tls_peer_san_ip
        tls_peer_san_uri tls_peer_selfsigned tls_peer_serial tls_peer_server_name tls_peer_subject
        tls_peer_subject_cn tls_peer_subject_country tls_peer_subject_locality tls_peer_subject_organization
        tls_peer_subject_state tls_peer_subject_uid tls_peer_subject_unit tls_peer_urlencoded_cert
        tls_peer_verified tls_peer_version tls_version
    tls_wolfssl: tls tls_cipher_bits tls_cipher_info tls_description tls_my_issuer tls_my_issuer_cn
        tls_my_issuer_country tls_my_issuer_locality tls_my_issuer_organization tls_my_issuer_state
        tls_my_issuer_unit tls_my_raw_cert tls_my_san_email tls_my_san_hostname tls_my_san_ip tls_my_san_uri
        tls_my_serial tls_my_subject tls_my_subject_cn tls_my_subject_country tls_my_subject_locality
        tls_my_subject_organization tls_my_subject_state tls_my_subject_uid tls_my_subject_unit
        tls_my_urlencoded_cert tls_my_version tls_peer_expired tls_peer_issuer tls_peer_issuer_cn
        tls_peer_issuer_country tls_peer_issuer_locality tls_peer_issuer_organization tls_peer_issuer_state
        tls_peer_issuer_unit tls_peer_notAfter tls_peer_notBefore tls_peer_raw_cert tls_peer_revoked
        tls_peer_san_email tls_peer_san_hostname tls_peer_san_ip tls_peer_san_uri tls_peer_selfsigned
        tls_peer_serial tls_peer_server_name tls_peer_subject tls_peer_subject_cn tls_peer_subject_country
        tls_peer_subject_locality tls_peer_subject_organization tls_peer_subject_state tls_peer_subject_uid
        tls_peer_subject_unit tls_peer_urlencoded_cert tls_peer_verified tls_peer_version tls_version
    tmx: T T_branch T_branch_idx T_inv T_reply_code T_reply_last T_reply_reason T_reply_ruid T_req T_rpl
    topoh: th
    uac: uac_req
    uuid: uuid
    websocket: ws_conid
    xcap_server: xcapuri
    xhttp: hu
    xlog: C
    xmlops: xml
"""
_EVENTS: Final = """
    async: async:task-data async:task-exec async:timer-exec
    cnxcc: cnxcc:call-shutdown
    core: core:modinit-before core:msg-received core:pre-routing core:receive-parse-error core:tkv
        core:worker-one-init
    corex: corex:reply-out network:msg
    crypto: crypto:netio
    dialog: dialog:end dialog:failed dialog:start dialog:timeout
    dispatcher: dispatcher:ds-down dispatcher:ds-up dispatcher:dst-down dispatcher:dst-up
    dmq: dmq:peer-disabled dmq:peer-down dmq:peer-up
    erlang: erlang:<process> erlang:self
    evapi: evapi:connection-closed evapi:connection-new evapi:message-received
    evrexec: evrexec:<name>
    htable: htable:expired:<table> htable:init htable:mod-init htable:reloaded:<table>
    ims_charging: ccr:continue
    ims_diameter_server: diameter:request diameter:response
    ims_ocs: ocs:ccr-orig ocs:ccr-term
    ims_qos_npn: qos:asr_call qos:asr_registration qos:rar_access_network qos:terminate_dialog
    kazoo: kazoo:consumer-event kazoo:consumer-event-<category>[-<name>] kazoo:mod-init
    keepalive: keepalive:dst-down keepalive:dst-up
    microhttpd: microhttpd:request
    mqtt: mqtt:connected mqtt:disconnected mqtt:message
    msrp: msrp:frame-in
    nats: nats:<subject> nats:connected nats:disconnected
    nghttp2: nghttp2:request
    nosip: nosip:msg
    nsq: nsq:consumer-event nsq:consumer-event-<category>[-<name>] nsq:mod-init
    peerstate: peerstate:state_changed
    presence: presence:notify-reply
    registrar: usrloc:contact-expired
    rtp_media_server: rms:after_play rms:bridged rms:start
    rtpengine: rtpengine:dtmf-event
    sipcapture: sipcapture:request
    sipdump: sipdump:msg
    siprepo: siprepo:msg
    siptrace: siptrace:msg
    sl: sl:filtered-ack sl:local-response
    tcpops: tcp:closed tcp:reset tcp:timeout
    textopsx: textopsx:msg-changed-route
    tls: tls:connection-out
    tm: tm:branch-failure:<name> tm:continue tm:local-ack-sent tm:local-request tm:local-response
        tm:local-response-sent
    tmx: tmx:continue
    topoh: topoh:msg-outgoing topoh:msg-sending
    topos: topos:msg-incoming topos:msg-outgoing topos:msg-receiving topos:msg-sending
    uac: uac:reply
    websocket: websocket:closed
    xhttp: xhttp:request
    xmlrpc: xmlrpc:request
"""


def modules_with_function(name: str) -> tuple[str, ...]:
    """The modules of Kamailio that have a function of this name."""
    return _by_name(_FUNCTIONS).get(name, ())


def modules_with_variable(name: str) -> tuple[str, ...]:
    """The modules of Kamailio that have a variable of this name, which is without its `$`."""
    return _by_name(_VARIABLES).get(name, ())


def events() -> Mapping[str, tuple[str, ...]]:
    """The events of Kamailio with the modules that run them. A part in <> stands for a name that the cfg chooses."""
    return _by_name(_EVENTS)


@cache
def _by_name(text: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    module = ""
    for word in text.split():
        if word.endswith(":"):
            module = word[:-1]
        else:
            found[word] = (*found.get(word, ()), module)
    return found
