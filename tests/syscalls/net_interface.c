/*
 * net_interface.c: the loopback interface as ioctl, netlink, libc and /proc/net tell of it.
 */
#include "tests/syscalls/net_test.h"

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netdb.h>

static struct ifreq query(unsigned long command)
{
    struct ifreq request = {.ifr_name = "lo"};
    int fd = net_socket(AF_INET, SOCK_DGRAM);
    CHECK_OK(ioctl(fd, command, &request));
    close(fd);
    return request;
}

static uint32_t address_of(const struct sockaddr *address)
{
    CHECK_EQ(address->sa_family, AF_INET);
    return ((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr;
}

TEST_CASE(queries)
{
    struct ifreq request = query(SIOCGIFFLAGS);
    CHECK_EQ(request.ifr_flags, IFF_UP | IFF_LOOPBACK | IFF_RUNNING);
    request = query(SIOCGIFINDEX);
    CHECK_EQ(request.ifr_ifindex, 1);
    request = query(SIOCGIFMTU);
    CHECK_EQ(request.ifr_mtu, 65536);
    request = query(SIOCGIFADDR);
    CHECK_EQ(address_of(&request.ifr_addr), htonl(INADDR_LOOPBACK));
    request = query(SIOCGIFNETMASK);
    CHECK_EQ(address_of(&request.ifr_netmask), htonl(0xff000000));
    request = query(SIOCGIFHWADDR);
    CHECK_EQ(request.ifr_hwaddr.sa_family, 772);
}

TEST_CASE(unknown_interface)
{
    struct ifreq request = {.ifr_name = "nosuch0"};
    int fd = net_socket(AF_INET, SOCK_DGRAM);
    CHECK_ERRNO(ioctl(fd, SIOCGIFADDR, &request), ENODEV);
    CHECK_ERRNO(ioctl(fd, SIOCGIFFLAGS, &request), ENODEV);
    CHECK_ERRNO(ioctl(fd, SIOCGIFADDR, guest_bad()), EFAULT);
}

TEST_CASE(configuration)
{
    struct ifreq entries[8];
    struct ifconf conf = {.ifc_len = 0};
    int fd = net_socket(AF_INET, SOCK_DGRAM);
    CHECK_OK(ioctl(fd, SIOCGIFCONF, &conf));
    CHECK(conf.ifc_len >= (int)sizeof(struct ifreq));
    conf.ifc_len = sizeof(entries);
    conf.ifc_req = entries;
    CHECK_OK(ioctl(fd, SIOCGIFCONF, &conf));
    bool found = false;
    for (int i = 0; i < conf.ifc_len / (int)sizeof(struct ifreq); i++) {
        found |= strcmp(entries[i].ifr_name, "lo") == 0 &&
                 address_of(&entries[i].ifr_addr) == htonl(INADDR_LOOPBACK);
    }
    CHECK(found);
}

TEST_CASE(names_and_indexes)
{
    char name[IF_NAMESIZE];
    CHECK_EQ(if_nametoindex("lo"), 1);
    CHECK(if_indextoname(1, name) != NULL);
    CHECK_EQ(strcmp(name, "lo"), 0);
    CHECK_EQ(if_nametoindex("nosuch0"), 0);
}

TEST_CASE(addresses)
{
    struct ifaddrs *all;
    bool four = false, six = false;
    CHECK_OK(getifaddrs(&all));
    for (struct ifaddrs *i = all; i; i = i->ifa_next) {
        if (strcmp(i->ifa_name, "lo") != 0 || !i->ifa_addr) {
            continue;
        }
        CHECK((i->ifa_flags & (IFF_UP | IFF_LOOPBACK)) == (IFF_UP | IFF_LOOPBACK));
        if (i->ifa_addr->sa_family == AF_INET) {
            four = true;
            CHECK_EQ(address_of(i->ifa_addr), htonl(INADDR_LOOPBACK));
            CHECK_EQ(address_of(i->ifa_netmask), htonl(0xff000000));
        }
        six |= i->ifa_addr->sa_family == AF_INET6;
    }
    CHECK(four);
    freeifaddrs(all);
    int fd = net_socket(AF_INET6, SOCK_DGRAM);
    if (net_bind(fd, AF_INET6, "::1", 0) == 0) {
        CHECK(six);
    }
}

/* One request; the type of the first answer. */
static int ask(int type, int flags, void *body, size_t length, char *answer, size_t room)
{
    char request[256] = {0};
    struct nlmsghdr header = {.nlmsg_len = (uint32_t)(NLMSG_HDRLEN + length),
                              .nlmsg_type = (uint16_t)type,
                              .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
                              .nlmsg_seq = 7};
    int fd = (int)CHECK_OK(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
    memcpy(request, &header, sizeof(header));
    memcpy(request + NLMSG_HDRLEN, body, length);
    CHECK_EQ(send(fd, request, header.nlmsg_len, 0), header.nlmsg_len);
    CHECK(recv(fd, answer, room, 0) >= (ssize_t)sizeof(header));
    memcpy(&header, answer, sizeof(header));
    CHECK_EQ(header.nlmsg_seq, 7);
    close(fd);
    return header.nlmsg_type;
}

static int route_to(uint32_t address, struct rtmsg *ret)
{
    char answer[4096];
    struct {
        struct rtmsg message;
        struct rtattr attribute;
        uint32_t destination;
    } body = {.message = {.rtm_family = AF_INET, .rtm_dst_len = 32},
              .attribute = {.rta_len = RTA_LENGTH(4), .rta_type = RTA_DST},
              .destination = htonl(address)};
    int type = ask(RTM_GETROUTE, 0, &body, sizeof(body), answer, sizeof(answer));
    if (type == NLMSG_ERROR) {
        return ((struct nlmsgerr *)(void *)(answer + NLMSG_HDRLEN))->error;
    }
    CHECK_EQ(type, RTM_NEWROUTE);
    memcpy(ret, answer + NLMSG_HDRLEN, sizeof(*ret));
    return 0;
}

TEST_CASE(routes)
{
    struct rtmsg message;
    CHECK_EQ(route_to(0x7f000001, &message), 0);
    CHECK_EQ(message.rtm_type, RTN_LOCAL);
    CHECK_EQ(message.rtm_dst_len, 32);
    if (net_is_alone()) {
        CHECK_EQ(route_to(0x0a000001, &message), -ENETUNREACH);
    }
}

TEST_CASE(link_dump)
{
    char answer[16384];
    struct ifinfomsg body = {.ifi_family = AF_UNSPEC};
    CHECK_EQ(ask(RTM_GETLINK, NLM_F_DUMP, &body, sizeof(body), answer, sizeof(answer)),
             RTM_NEWLINK);
    struct ifinfomsg *info = (void *)(answer + NLMSG_HDRLEN);
    CHECK_EQ(info->ifi_index, 1);
    CHECK_EQ(info->ifi_type, 772);
    CHECK_EQ(info->ifi_flags, IFF_UP | IFF_LOOPBACK | IFF_RUNNING | 0x10000);
}

TEST_CASE(names_of_localhost)
{
    struct addrinfo *list, hints = {.ai_socktype = SOCK_STREAM};
    CHECK_EQ(getaddrinfo("127.0.0.1", "80", &hints, &list), 0);
    CHECK_EQ(list->ai_family, AF_INET);
    freeaddrinfo(list);
    CHECK_EQ(getaddrinfo("::1", "80", &hints, &list), 0);
    CHECK_EQ(list->ai_family, AF_INET6);
    freeaddrinfo(list);
    hints.ai_flags = AI_ADDRCONFIG;
    CHECK_EQ(getaddrinfo("127.0.0.1", "80", &hints, &list), 0);
    freeaddrinfo(list);
}

/* Does a file of /proc/net have a line with text? */
static bool has_line(const char *path, const char *text)
{
    static char all[1 << 20];
    size_t total = 0;
    ssize_t count;
    int fd = (int)CHECK_OK(open(path, O_RDONLY));
    while ((count = read(fd, all + total, sizeof(all) - 1 - total)) > 0) {
        total += (size_t)count;
    }
    all[total] = 0;
    close(fd);
    return strstr(all, text) != NULL;
}

TEST_CASE(proc_net_tcp)
{
    char text[64];
    struct stat st;
    int fd = net_listener(AF_INET, 3);
    snprintf(text, sizeof(text), " 0100007F:%04X 00000000:0000 0A ", (unsigned)net_port(fd));
    CHECK(has_line("/proc/net/tcp", text));
    CHECK_OK(fstat(fd, &st));
    snprintf(text, sizeof(text), " %lu ", (unsigned long)st.st_ino);
    CHECK(has_line("/proc/net/tcp", text));
    int client = net_socket(AF_INET, SOCK_STREAM);
    CHECK_OK(net_connect(client, AF_INET, NULL, net_port(fd)));
    snprintf(text, sizeof(text), " 0100007F:%04X 0100007F:%04X 01 ", (unsigned)net_port(client),
             (unsigned)net_port(fd));
    CHECK(has_line("/proc/net/tcp", text));
    close(fd);
    int six = net_listener(AF_INET6, 3);
    snprintf(text, sizeof(text), " 00000000000000000000000001000000:%04X ",
             (unsigned)net_port(six));
    CHECK(has_line("/proc/net/tcp6", text));
}

TEST_CASE(proc_net_udp)
{
    char text[64];
    int fd = net_datagram(AF_INET);
    snprintf(text, sizeof(text), " 0100007F:%04X 00000000:0000 07 ", (unsigned)net_port(fd));
    CHECK(has_line("/proc/net/udp", text));
}

TEST_CASE(proc_net_files)
{
    CHECK(has_line("/proc/net/dev", "lo:"));
    CHECK(has_line("/proc/net/if_inet6", "00000000000000000000000000000001 01 80 10 80       lo"));
    CHECK(has_line("/proc/net/sockstat", "TCP: inuse"));
    CHECK(has_line("/proc/net/snmp", "Tcp: RtoAlgorithm"));
    CHECK(has_line("/proc/net/route", "Iface\tDestination"));
    CHECK(has_line("/proc/net/fib_trie", "127.0.0.1"));
    CHECK(has_line("/sys/class/net/lo/mtu", "65536"));
}
