-- Rows of a Waldur on 2026-11-23, 09:30 UTC, of which each is odd in one way, or ordinary. See import_test.go.

INSERT INTO core_user (id, uuid, username, email, first_name, last_name, civil_number, is_staff, is_support, is_active,
    notifications_enabled, date_joined, token_lifetime) VALUES
    (1, 'a0000000000040008000000000000001', 'sam', 'sam@staff.example', 'Sam', 'Staff', NULL, true, false, true, true, '2024-01-01 08:00+00', NULL),
    (2, 'a0000000000040008000000000000002', 'olivia', 'olivia@acme.example', 'Olivia', 'Owner', NULL, false, false, true, true, '2024-02-01 08:00+00', NULL),
    (3, 'a0000000000040008000000000000003', 'ina', 'Ina@University.example', 'Ina', '', '3860101 0000', false, false, true, true, '2025-01-01 08:00+00', 3600),
    (4, 'a0000000000040008000000000000004', 'ivo', 'ivo@acme.example', 'Ivo', 'Inactive', NULL, false, false, false, true, '2025-01-01 08:00+00', NULL),
    (5, 'a0000000000040008000000000000005', 'odd', '"odd one"@acme.example', repeat('Long', 25), repeat('Name', 25), NULL, false, false, true, false, '2025-01-01 08:00+00', NULL),
    (6, 'a0000000000040008000000000000006', E'in\u200bvisible', 'invisible@acme.example', 'In', 'Visible', NULL, false, false, true, true, '2025-01-01 08:00+00', NULL),
    (7, 'a0000000000040008000000000000007', 'sue', 'SAM@staff.example', 'Sue', 'Support', NULL, false, true, true, true, '2025-01-01 08:00+00', 3600);

INSERT INTO authtoken_token (key, created, user_id) VALUES
    ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1', '2025-06-01 08:00+00', 1),
    ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2', '2025-06-01 08:00+00', 2),
    ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa3', '2026-11-23 09:00+00', 3),
    ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa4', '2026-11-23 09:00+00', 4),
    ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa7', '2026-11-23 08:00+00', 7);

INSERT INTO core_personalaccesstoken (name, uuid, token_hash, scopes, expires_at, is_active, user_id) VALUES
    ('script', 'af000000000040008000000000000001', repeat('0', 64), '["ORDER.LIST"]', now() + interval '1 year', true, 2),
    ('old', 'af000000000040008000000000000002', repeat('1', 64), '["ORDER.LIST"]', now() - interval '1 year', true, 2);

INSERT INTO structure_customer (id, created, name, uuid, description, user_email_patterns, user_affiliations) VALUES
    (1, '2024-01-02 08:00+00', 'Acme', 'c0000000000040008000000000000001', 'Makers of things', '[]', '[]'),
    (2, '2024-01-02 08:00+00', E'Globex\n(West)', 'c0000000000040008000000000000002', '', '[".*@globex\\.example", "(?=look)ahead"]', '["staff@globex.example"]');

INSERT INTO structure_project (id, created, name, uuid, description, customer_id, start_date, is_removed, user_email_patterns) VALUES
    (1, '2024-02-02 08:00+00', 'Apollo', 'd0000000000040008000000000000001', 'To the moon', 1, NULL, false, '[]'),
    (2, '2024-02-02 08:00+00', 'Artemis', 'd0000000000040008000000000000002', '', 1, '2026-12-24', false, '[]'),
    (3, '2024-02-02 08:00+00', 'Dropped', 'd0000000000040008000000000000003', '', 1, NULL, true, '[]'),
    (4, '2024-02-02 08:00+00', repeat('Ü', 500), 'd0000000000040008000000000000004', repeat('long ', 800), 2, NULL, false, '[".*@acme\\.example"]');

INSERT INTO marketplace_offering (id, name, uuid, customer_id) VALUES
    (1, 'GPU nodes', 'e0000000000040008000000000000001', 1),
    (2, 'Nobody''s', 'e0000000000040008000000000000002', NULL);
INSERT INTO proposal_callmanagingorganisation (id, uuid, customer_id) VALUES (5, 'e1000000000040008000000000000005', 1);
INSERT INTO proposal_call (id, name, uuid, manager_id) VALUES (1, 'Spring call', 'e2000000000040008000000000000001', 5);
INSERT INTO proposal_round (id, uuid, call_id) VALUES (1, 'e3000000000040008000000000000001', 1);
INSERT INTO proposal_proposal (id, name, uuid, round_id) VALUES (1, 'A paper', 'e4000000000040008000000000000001', 1);

INSERT INTO permissions_role (id, uuid, name, description, is_system_role, is_active, content_type_id) VALUES
    (1, 'b0000000000040008000000000000001', 'CUSTOMER.OWNER', 'Organization owner', true, true, 17),
    (2, 'b0000000000040008000000000000002', 'PROJECT.ADMIN', 'System administrator', true, true, 19),
    (3, 'b0000000000040008000000000000003', 'PROJECT.MEMBER', 'Project member', true, true, 19),
    (4, 'b0000000000040008000000000000004', 'PROJECT.MEMBER', 'A member as Globex has them', false, true, 19),
    (5, 'b0000000000040008000000000000005', 'OFFERING.MANAGER', '', true, true, 44),
    (6, 'b0000000000040008000000000000006', 'SERVICE_PROVIDER.MANAGER', '', true, true, 45),
    (7, 'b0000000000040008000000000000007', 'PROPOSAL.MEMBER', '', true, false, 73);
INSERT INTO permissions_rolepermission (permission, role_id) VALUES
    ('PROJECT.CREATE_PERMISSION', 1), ('INVITATION.LIST', 1), ('CUSTOMER.CREATE_PERMISSION', 1), ('OFFERING.CREATE', 5);

INSERT INTO permissions_userrole (id, uuid, user_id, role_id, content_type_id, object_id, created_by_id, created, expiration_time, is_active) VALUES
    (1, 'f0000000000040008000000000000001', 2, 1, 17, 1, 1, '2024-03-01 08:00+00', NULL, true),
    (2, 'f0000000000040008000000000000002', 3, 3, 19, 1, 2, '2025-03-01 08:00+00', '2099-01-01 00:00+00', true),
    (3, 'f0000000000040008000000000000003', 3, 3, 19, 1, 2, '2025-03-02 08:00+00', NULL, true),
    (4, 'f0000000000040008000000000000004', 4, 4, 19, 4, NULL, '2025-03-01 08:00+00', NULL, true),
    (5, 'f0000000000040008000000000000005', 5, 2, 19, 1, 2, '2025-03-01 08:00+00', NULL, false),
    (6, 'f0000000000040008000000000000006', 5, 2, 19, 1, 2, '2025-03-01 08:00+00', '2025-04-01 08:00+00', true),
    (7, 'f0000000000040008000000000000007', 2, 6, 45, 9, 1, '2025-03-01 08:00+00', NULL, true),
    (8, 'f0000000000040008000000000000008', 6, 2, 19, 1, 2, '2025-03-01 08:00+00', NULL, true),
    (9, 'f0000000000040008000000000000009', 5, 5, 44, 1, 6, '2025-03-01 08:00+00', NULL, true),
    (10, 'f0000000000040008000000000000010', 5, 2, 19, 999, 2, '2025-03-01 08:00+00', NULL, true),
    (11, 'f0000000000040008000000000000011', 5, 7, 73, 1, 2, '2025-03-01 08:00+00', NULL, true);

INSERT INTO users_invitation (id, uuid, created, state, execution_state, error_message, email, civil_number, full_name, organization,
    extra_invitation_text, role_id, content_type_id, object_id, customer_id, created_by_id) VALUES
    -- one that was mailed, and waits
    (1, '10000000000040008000000000000001', '2026-11-20 09:30+00', 'pending', 'OK', '', 'ina@university.example', '38601010000', 'Ina', 'University', 'Hello', 2, 19, 1, 1, 2),
    -- another one to the same address, role and scope, which is older
    (2, '10000000000040008000000000000002', '2026-11-19 09:30+00', 'pending', 'OK', '', 'INA@university.example', '', '', '', '', 2, 19, 1, 1, 2),
    -- an old one that Waldur did not end yet
    (3, '10000000000040008000000000000003', '2026-11-01 09:30+00', 'pending', 'OK', '', 'late@university.example', '', '', '', '', 2, 19, 1, 1, 2),
    (4, '10000000000040008000000000000004', '2026-11-20 09:30+00', 'requested', 'Scheduled', '', 'asked@university.example', '', '', '', '', 1, 17, 1, 1, 2),
    (5, '10000000000040008000000000000005', '2026-11-20 09:30+00', 'project', 'Scheduled', '', 'moon@university.example', '', '', '', '', 3, 19, 2, 1, 2),
    (6, '10000000000040008000000000000006', '2025-11-20 09:30+00', 'accepted', 'OK', '', 'olivia@acme.example', '', '', '', '', 1, 17, 1, 1, 1),
    (7, '10000000000040008000000000000007', '2025-11-20 09:30+00', 'expired', 'OK', '', 'gone@university.example', '', '', '', '', 2, 19, 1, 1, 2),
    (8, '10000000000040008000000000000008', '2026-11-20 09:30+00', 'canceled', 'OK', '', 'back@university.example', '', '', '', '', 2, 19, 1, 1, NULL),
    (9, '10000000000040008000000000000009', '2026-11-20 09:30+00', 'rejected', 'Scheduled', '', 'no@university.example', '', '', '', '', 2, 19, 1, 1, 6),
    -- into a project that was removed
    (10, '10000000000040008000000000000010', '2026-11-20 09:30+00', 'pending', 'OK', '', 'drop@university.example', '', '', '', '', 2, 19, 3, 1, 2),
    (11, '10000000000040008000000000000011', '2026-11-20 09:30+00', 'pending', 'Processing', '', 'unsent@university.example', '', '', '', '', 2, 19, 1, 1, 2),
    (12, '10000000000040008000000000000012', '2026-11-20 09:30+00', 'pending', 'Erred', 'Mailbox full', 'full@university.example', '', '', '', '', 2, 19, 1, 1, 2),
    -- left: an address, a type of scope, a scope that is gone, a role of another type
    (13, '10000000000040008000000000000013', '2026-11-20 09:30+00', 'pending', 'OK', '', '"odd one"@acme.example', '', '', '', '', 2, 19, 1, 1, 2),
    (14, '10000000000040008000000000000014', '2026-11-20 09:30+00', 'pending', 'OK', '', 'a@university.example', '', '', '', '', 6, 45, 9, 1, 2),
    (15, '10000000000040008000000000000015', '2026-11-20 09:30+00', 'expired', 'OK', '', 'b@university.example', '', '', '', '', 2, 19, 999, 1, 2),
    (16, '10000000000040008000000000000016', '2026-11-20 09:30+00', 'pending', 'OK', '', 'c@university.example', '', '', '', '', 2, 17, 1, 1, 2),
    -- a very long text, and a role of a scope of each other type
    (17, '10000000000040008000000000000017', '2026-11-20 09:30+00', 'pending', 'OK', '', 'long@university.example', '', '', '', repeat('Welcome. ', 2000), 3, 19, 4, 2, 1),
    (18, '10000000000040008000000000000018', '2026-11-20 09:30+00', 'pending', 'OK', '', 'sell@university.example', '', '', '', '', 5, 44, 1, 1, 2),
    (19, '10000000000040008000000000000019', '2026-11-20 09:30+00', 'pending', 'OK', '', 'write@university.example', '', '', '', '', 7, 73, 1, 1, 2);

INSERT INTO users_groupinvitation (id, uuid, created, is_active, is_public, auto_create_project, auto_approve, allow_multiple_requests,
    project_name_template, custom_text, user_email_patterns, user_affiliations, user_nationalities, role_id, project_role_id,
    content_type_id, object_id, customer_id, created_by_id) VALUES
    (1, '20000000000040008000000000000001', '2026-01-01 08:00+00', true, false, false, false, false, NULL, 'Come in', '[".*@university\\.example"]', '["student"]', '[]', 2, NULL, 19, 1, 1, 2),
    (2, '20000000000040008000000000000002', '2026-01-01 08:00+00', true, true, true, true, true, 'Lab of {username}', '', '[]', '[]', '["EE"]', 3, 2, 17, 1, 1, 1),
    (3, '20000000000040008000000000000003', '2026-01-01 08:00+00', false, false, false, false, false, NULL, '', '[]', '[]', '[]', 2, NULL, 19, 1, 1, 6),
    (4, '20000000000040008000000000000004', '2026-01-01 08:00+00', true, false, false, false, false, NULL, '', '[]', '[]', '[]', 6, NULL, 45, 9, 1, 2);

INSERT INTO users_permissionrequest (id, uuid, created, state, reviewed_at, review_comment, project_name, created_by_id, invitation_id, reviewed_by_id) VALUES
    (1, '30000000000040008000000000000001', '2026-11-20 08:00+00', 2, NULL, NULL, '', 3, 1, NULL),
    (2, '30000000000040008000000000000002', '2026-11-21 08:00+00', 2, NULL, NULL, '', 3, 1, NULL),
    (3, '30000000000040008000000000000003', '2026-10-20 08:00+00', 3, '2026-10-21 08:00+00', 'Fine', 'Lab', 5, 2, 2),
    (4, '30000000000040008000000000000004', '2026-10-20 08:00+00', 4, '2026-10-21 08:00+00', '', '', 5, 1, 6),
    (5, '30000000000040008000000000000005', '2026-10-20 08:00+00', 2, NULL, NULL, '', 5, 4, NULL),
    (6, '30000000000040008000000000000006', '2026-10-20 08:00+00', 1, NULL, NULL, '', 5, 1, NULL);
