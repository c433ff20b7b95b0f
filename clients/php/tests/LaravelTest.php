<?php

declare(strict_types=1);

namespace PreferenceCenter\Client\Tests;

use Illuminate\Config\Repository as ConfigRepository;
use Illuminate\Contracts\Mail\Factory as Mail;
use Illuminate\Events\Dispatcher;
use Illuminate\Foundation\Application;
use Illuminate\Mail\Mailable;
use Illuminate\Mail\Mailables\Content;
use Illuminate\Mail\Mailables\Envelope;
use Illuminate\Mail\Mailables\Headers;
use Illuminate\Support\Facades\Facade;
use PHPUnit\Framework\TestCase;
use PreferenceCenter\Client\Client;
use PreferenceCenter\Client\Http\Response;
use PreferenceCenter\Client\Http\TransportError;
use PreferenceCenter\Client\Laravel\CachedOutage;
use PreferenceCenter\Client\Laravel\PreferenceCenterServiceProvider;
use PreferenceCenter\Client\LinkMinter;

/** The service provider in an application of Laravel, whose mails end in an array. */
final class LaravelTest extends TestCase
{
    private const ADA = 'ada@example.com';
    private const EVE = 'eve@example.com';

    private Application $app;

    protected function setUp(): void
    {
        if (!class_exists(Application::class)) {
            self::markTestSkipped('Laravel is missing: apt-get install php-laravel-framework');
        }
        $this->app = new Application(sys_get_temp_dir());
        $contract = json_decode((string) file_get_contents(__DIR__ . '/../../contract.json'), true);
        $this->app->instance('config', new ConfigRepository([
            'app' => ['key' => str_repeat('k', 32), 'cipher' => 'AES-256-CBC'],
            'cache' => ['default' => 'array', 'stores' => ['array' => ['driver' => 'array']]],
            'logging' => ['default' => 'null', 'channels' => ['null' => ['driver' => 'monolog', 'handler' => \Monolog\Handler\NullHandler::class]]],
            'mail' => [
                'default' => 'array',
                'mailers' => ['array' => ['transport' => 'array']],
                'from' => ['address' => 'news@acme.example', 'name' => 'Acme'],
            ],
            'view' => ['paths' => [__DIR__], 'compiled' => sys_get_temp_dir()],
            'preference-center' => [
                'url' => 'https://preferences.example.com',
                'key' => 'pc_shop_x',
                'link_key' => $contract['links']['keys']['with_mail'],
                'service_types' => ['password_reset'],
            ],
        ]));
        Facade::setFacadeApplication($this->app);
        foreach ([
            \Illuminate\Cache\CacheServiceProvider::class,
            \Illuminate\Filesystem\FilesystemServiceProvider::class,
            \Illuminate\View\ViewServiceProvider::class,
            \Illuminate\Mail\MailServiceProvider::class,
            PreferenceCenterServiceProvider::class,
        ] as $provider) {
            $this->app->register($provider);
        }
        $this->app->boot();
    }

    /** Let the service decide: allow all but these. */
    private function deny(string ...$denied): Stub
    {
        $stub = new Stub([static fn (array $request): Response => Stub::json(200, ['decisions' => array_map(
            static fn (string $each): array => ['allow' => !in_array($each, $denied, true), 'rule' => 'x'],
            $request['body']['recipients'],
        )])]);
        $this->app->instance(Client::class, $stub->client());
        return $stub;
    }

    /**
     * Send a mail with these headers.
     *
     * @param array<string, string> $headers
     * @param list<string> $to
     * @return list<\Symfony\Component\Mime\Email> what was sent, each to those whom it names
     */
    private function send(array $headers, array $to, string ...$bcc): array
    {
        $mailable = new class ($headers) extends Mailable {
            /** @param array<string, string> $named */
            public function __construct(private readonly array $named)
            {
            }

            public function envelope(): Envelope
            {
                return new Envelope(subject: 'This month');
            }

            public function headers(): Headers
            {
                return new Headers(text: $this->named);
            }

            public function content(): Content
            {
                return new Content(htmlString: '<p>Hello</p>');
            }
        };
        $mailer = $this->app->make(Mail::class);
        $mailer->to($to)->bcc($bcc)->send($mailable);
        $sent = $mailer->mailer()->getSymfonyTransport()->messages();
        return $sent->map(static function ($each) {
            $mail = $each->getOriginalMessage();
            $named = self::addresses([...$mail->getTo(), ...$mail->getCc(), ...$mail->getBcc()]);
            self::assertSame($named, self::addresses($each->getEnvelope()->getRecipients()));
            return $mail;
        })->values()->all();
    }

    /**
     * @param list<\Symfony\Component\Mime\Address> $group
     * @return list<string>
     */
    private static function addresses(array $group): array
    {
        return array_map(static fn ($each): string => $each->getAddress(), $group);
    }

    public function testTheClientAndTheMinterAreMadeFromTheConfiguration(): void
    {
        self::assertSame($this->app->make(Client::class), $this->app->make(Client::class));
        self::assertContains('acme.offers', $this->app->make(LinkMinter::class)->topics());
        self::assertTrue($this->app->make('config')->get('preference-center.check_mail'));
    }

    public function testAMailIsSentOnlyToThoseWhoMayGetIt(): void
    {
        $stub = $this->deny(self::EVE);
        [$mail] = $this->send(['X-Message-Type' => 'offers.weekly'], [self::ADA, self::EVE], 'bob@example.com');
        self::assertSame([self::ADA], self::addresses($mail->getTo()));
        self::assertSame(['bob@example.com'], self::addresses($mail->getBcc()));
        self::assertSame('offers.weekly', $stub->requests[0]['body']['message_type']);
        self::assertNull($mail->getHeaders()->get('X-Message-Type'));
    }

    public function testAMailThatNobodyMayGetIsNotSent(): void
    {
        $this->deny(self::EVE);
        self::assertSame([], $this->send(['X-Message-Type' => 'offers.weekly'], [self::EVE]));
    }

    public function testWhileTheServiceIsDownOnlyServiceMailIsSentAndOneRequestIsSlow(): void
    {
        $stub = new Stub([new TransportError('timed out')]);
        $outage = $this->app->make(CachedOutage::class);
        $connect = fn () => $this->app->instance(Client::class, $stub->client(
            serviceTypes: ['password_reset'],
            outage: $outage,
            clock: static fn (): float => microtime(true),
        ));
        $connect();
        self::assertSame([], $this->send(['X-Message-Type' => 'offers.weekly'], [self::ADA]));
        $asked = count($stub->requests);
        $connect(); // as the next request of PHP-FPM
        self::assertCount(1, $this->send(['X-Message-Type' => 'password_reset'], [self::ADA]));
        self::assertCount($asked, $stub->requests);
        self::assertGreaterThan(microtime(true), $outage->until());
    }

    public function testLinksAreAddedOnOneLineEach(): void
    {
        $this->deny();
        $headers = ['X-Message-Type' => 'offers.weekly', 'X-Unsubscribe-Topic' => 'acme.offers'];
        [$mail] = $this->send($headers, [self::ADA]);
        $lines = explode("\r\n", $mail->getHeaders()->toString());
        $found = array_values(preg_grep('/^List-Unsubscribe/', $lines));
        self::assertMatchesRegularExpression(
            '#^List-Unsubscribe: <https://acme\.example\.com/u/~7\.[\w-]+>, '
            . '<mailto:[a-z2-7]{64}@stop\.example\.com\?subject=unsubscribe>$#',
            $found[0],
        );
        self::assertSame('List-Unsubscribe-Post: List-Unsubscribe=One-Click', $found[1]);
        self::assertNull($mail->getHeaders()->get('X-Unsubscribe-Topic'));
    }

    public function testLinksOfOnePersonAreSentToNobodyElse(): void
    {
        $this->deny();
        $this->expectException(\InvalidArgumentException::class);
        $headers = ['X-Message-Type' => 'offers.weekly', 'X-Unsubscribe-Topic' => 'acme.offers'];
        $this->send($headers, [self::ADA, self::EVE]);
    }

    public function testAMailWithoutAMessageTypeIsLeftAsItIs(): void
    {
        $stub = $this->deny(self::ADA);
        self::assertCount(1, $this->send([], [self::ADA]));
        self::assertSame([], $stub->requests);
    }

    public function testAMailWithLinksSaysWhatItIs(): void
    {
        $this->deny();
        foreach (['X-Unsubscribe-Topic' => 'acme.offers', 'List-Unsubscribe' => '<https://x.example>'] as $name => $value) {
            try {
                $this->send([$name => $value], [self::ADA]);
                self::fail('sent');
            } catch (\InvalidArgumentException $error) {
                self::assertStringContainsString('X-Message-Type', $error->getMessage());
            }
        }
    }

    public function testItListensOnlyIfItIsSwitchedOn(): void
    {
        $events = $this->app->make('events');
        self::assertInstanceOf(Dispatcher::class, $events);
        $sending = \Illuminate\Mail\Events\MessageSending::class;
        self::assertTrue($events->hasListeners($sending));
        $events->forget($sending);
        $this->app->make('config')->set('preference-center.check_mail', false);
        $provider = new PreferenceCenterServiceProvider($this->app);
        $this->app->call([$provider, 'boot']);
        self::assertFalse($events->hasListeners($sending));
    }
}
