/*
 * policy_defaults.c: secrets that commonly stand under system directories, hidden unless a later
 * rule of the same path says otherwise.
 *
 * Most of these are unreadable for an ordinary user anyway; the list matters when the launcher is
 * root, and keeps even their names from the guest. Home directories are not mounted by default at
 * all; the entries for them help whoever mounts one.
 */
#include <errno.h>

#include "gofer/files/policy.h"

static const struct {
    const char *path;
    const char *reason;
} hidden[] = {
    {"/etc/shadow*", "password hashes"},
    {"/etc/gshadow*", "password hashes"},
    {"/etc/security/opasswd*", "password hashes"},
    {"/etc/.pwd.lock", "password database lock"},
    {"/etc/sudoers*", "privilege configuration"},
    {"/etc/doas.conf", "privilege configuration"},
    {"/etc/ssh/*_key", "host private keys"},
    {"/etc/ssl/private", "private keys"},
    {"/etc/pki/tls/private", "private keys"},
    {"/etc/pki/private", "private keys"},
    {"/etc/letsencrypt", "private keys"},
    {"/etc/ipsec.secrets", "private keys"},
    {"/etc/ipsec.d/private", "private keys"},
    {"/etc/swanctl", "private keys"},
    {"/etc/wireguard", "private keys"},
    {"/etc/openvpn", "private keys"},
    {"/etc/ppp/*-secrets", "credentials"},
    {"/etc/krb5.keytab", "Kerberos keys"},
    {"/etc/NetworkManager/system-connections", "network credentials"},
    {"/etc/wpa_supplicant", "network credentials"},
    {"/etc/netplan", "network credentials"},
    {"/etc/docker", "container engine credentials"},
    {"/etc/containers/auth.json", "registry credentials"},
    {"/etc/kubernetes", "cluster credentials"},
    {"/etc/rancher", "cluster credentials"},
    {"/etc/machine-id", "identifies this machine"},
    {"/etc/hostid", "identifies this machine"},
    {"/etc/cloud", "cloud credentials"},
    {"/etc/boto.cfg", "cloud credentials"},
    {"/etc/aws", "cloud credentials"},
    {"/etc/google", "cloud credentials"},
    {"/etc/azure", "cloud credentials"},
    {"/etc/samba/private", "credentials"},
    {"/etc/cups/ssl", "private keys"},
    {"/etc/mysql/debian.cnf", "database credentials"},
    {"/etc/exim4/passwd.client", "mail credentials"},
    {"/etc/postfix/sasl*", "mail credentials"},
    {"/etc/msmtprc", "mail credentials"},
    {"/etc/crypttab", "disk encryption"},
    {"/etc/luks*", "disk encryption"},
    {"/etc/iscsi", "storage credentials"},
    {"/etc/ceph", "storage credentials"},
    {"/home/*/.ssh", "private keys"},
    {"/home/*/.gnupg", "private keys"},
    {"/home/*/.aws", "cloud credentials"},
    {"/home/*/.azure", "cloud credentials"},
    {"/home/*/.config/gcloud", "cloud credentials"},
    {"/home/*/.kube", "cluster credentials"},
    {"/home/*/.docker", "registry credentials"},
    {"/home/*/.netrc", "credentials"},
    {"/home/*/.git-credentials", "credentials"},
    {"/root/.ssh", "private keys"},
    {"/root/.gnupg", "private keys"},
    {"/root/.aws", "cloud credentials"},
    {"/root/.azure", "cloud credentials"},
    {"/root/.config/gcloud", "cloud credentials"},
    {"/root/.kube", "cluster credentials"},
    {"/root/.docker", "registry credentials"},
    {"/root/.netrc", "credentials"},
    {"/root/.git-credentials", "credentials"},
};

int policy_add_defaults(struct policy *policy)
{
    for (size_t i = 0; i < array_size(hidden); i++) {
        struct policy_error error;
        int result =
            policy_add_rule(policy, hidden[i].path, GOFER_ACCESS_HIDE, hidden[i].reason, &error);
        if (result) {
            return result;
        }
        policy->rules[policy->rule_count - 1].built_in = true;
    }
    return 0;
}
