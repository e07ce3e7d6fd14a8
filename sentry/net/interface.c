/*
 * interface.c: the ioctls about network interfaces (netdevice(7)) of a host whose only one is the
 * loopback, 127.0.0.1/8, up. Changes are refused.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>

#include "sentry/core/cred.h"
#include "sentry/net/socket.h"

#define LOOPBACK_INDEX    1
#define LOOPBACK_MTU      65536
#define LOOPBACK_HARDWARE 772 /* ARPHRD_LOOPBACK */

static void put_address(struct sockaddr *ret, uint32_t address)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    memcpy(ret, &in, sizeof(in));
}

/* SIOCGIFCONF: one entry; without a buffer the room it needs. */
static long configuration(uint64_t argument)
{
    struct ifconf conf;
    struct ifreq entry = {.ifr_name = "lo"};
    long result = socket_get_user(argument, &conf, sizeof(conf));
    if (result != 0) {
        return result;
    }
    put_address(&entry.ifr_addr, INADDR_LOOPBACK);
    uint64_t buffer = (uint64_t)(uintptr_t)conf.ifc_buf;
    if (buffer == 0) {
        conf.ifc_len = sizeof(entry);
    } else if (conf.ifc_len >= (int)sizeof(entry)) {
        result = socket_put_user(buffer, &entry, sizeof(entry));
        conf.ifc_len = sizeof(entry);
    } else {
        conf.ifc_len = 0;
    }
    return result != 0 ? result : socket_put_user(argument, &conf, sizeof(conf));
}

static long name_of_index(uint64_t argument)
{
    struct ifreq request;
    long result = socket_get_user(argument, &request, sizeof(request));
    if (result != 0) {
        return result;
    }
    if (request.ifr_ifindex != LOOPBACK_INDEX) {
        return -ENODEV;
    }
    memset(request.ifr_name, 0, sizeof(request.ifr_name));
    memcpy(request.ifr_name, "lo", 3);
    return socket_put_user(argument, &request, sizeof(request));
}

/* Fills the answer to a query about the loopback. -ENOTTY: not known. */
static long answer(unsigned command, struct ifreq *request)
{
    memset(&request->ifr_ifru, 0, sizeof(request->ifr_ifru));
    switch (command) {
    case SIOCGIFINDEX:
        request->ifr_ifindex = LOOPBACK_INDEX;
        return 0;
    case SIOCGIFFLAGS:
        request->ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
        return 0;
    case SIOCGIFMTU:
        request->ifr_mtu = LOOPBACK_MTU;
        return 0;
    case SIOCGIFMETRIC:
        return 0;
    case SIOCGIFTXQLEN:
        request->ifr_qlen = 1000;
        return 0;
    case SIOCGIFHWADDR:
        request->ifr_hwaddr.sa_family = LOOPBACK_HARDWARE;
        return 0;
    case SIOCGIFMAP:
        return 0;
    case SIOCGIFADDR:
    case SIOCGIFDSTADDR:
        put_address(&request->ifr_addr, INADDR_LOOPBACK);
        return 0;
    case SIOCGIFBRDADDR:
        put_address(&request->ifr_addr, INADDR_ANY);
        return 0;
    case SIOCGIFNETMASK:
        put_address(&request->ifr_addr, IN_CLASSA_NET);
        return 0;
    default:
        return -ENOTTY;
    }
}

/* It is up and stays up: what `ip link set lo up` asks for is there. */
static long set_flags(uint64_t argument)
{
    struct ifreq request;
    long result = socket_get_user(argument, &request, sizeof(request));
    if (result != 0) {
        return result;
    }
    request.ifr_name[IFNAMSIZ - 1] = 0;
    if (!capable(CAP_NET_ADMIN)) {
        return -EPERM;
    }
    if (strcmp(request.ifr_name, "lo") != 0) {
        return -ENODEV;
    }
    return request.ifr_flags & IFF_UP ? 0 : -EPERM;
}

static bool is_change(unsigned command)
{
    switch (command) {
    case SIOCSIFADDR:
    case SIOCSIFDSTADDR:
    case SIOCSIFBRDADDR:
    case SIOCSIFNETMASK:
    case SIOCSIFMETRIC:
    case SIOCSIFMTU:
    case SIOCSIFHWADDR:
    case SIOCSIFTXQLEN:
    case SIOCSIFNAME:
    case SIOCADDRT:
    case SIOCDELRT:
    case SIOCDARP:
    case SIOCSARP:
        return true;
    default:
        return false;
    }
}

long socket_interface_ioctl(unsigned command, uint64_t argument)
{
    struct ifreq request;
    if (command == SIOCGIFCONF) {
        return configuration(argument);
    }
    if (command == SIOCGIFNAME) {
        return name_of_index(argument);
    }
    if (command == SIOCSIFFLAGS) {
        return set_flags(argument);
    }
    if (is_change(command)) {
        return -EPERM; /* DIFFERS: also with CAP_NET_ADMIN: the sandbox's network is fixed */
    }
    struct ifreq probe = {.ifr_name = ""};
    if (answer(command, &probe) == -ENOTTY) {
        return -ENOTTY;
    }
    long result = socket_get_user(argument, &request, sizeof(request));
    if (result != 0) {
        return result;
    }
    request.ifr_name[IFNAMSIZ - 1] = 0;
    if (strcmp(request.ifr_name, "lo") != 0) {
        return -ENODEV;
    }
    result = answer(command, &request);
    return result != 0 ? result : socket_put_user(argument, &request, sizeof(request));
}
